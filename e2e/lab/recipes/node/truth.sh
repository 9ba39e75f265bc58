dpkg-query --show --showformat='${db:Status-Status} deb ${Package} ${Version}\n' | sed -n "s/^installed //p"
