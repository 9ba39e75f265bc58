# needs: tar
mkdir -p root/etc root/lib/apk/db
cp "$INSTALLED" root/lib/apk/db/installed
echo "$RELEASE" > root/etc/alpine-release
cat > root/etc/os-release <<END
NAME="Alpine Linux"
ID=alpine
VERSION_ID=$RELEASE
PRETTY_NAME="Alpine Linux v${RELEASE%.*}"
END
sed -n -e 's/^P:/apk /p' -e 's/^V://p' "$INSTALLED" | paste -d ' ' - - > "$TRUTH"
tar --create --file rootfs.tar --directory root .
