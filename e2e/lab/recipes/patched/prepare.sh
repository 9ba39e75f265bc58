# needs: sed
sed -i "s/@RELEASE@/$RELEASE/" Dockerfile
