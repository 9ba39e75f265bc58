dpkg-query --show --showformat='${db:Status-Status} deb ${Package} ${Version}\n' | sed -n "s/^installed //p"
COMPOSER_ALLOW_SUPERUSER=1 composer show --working-dir=/app --no-interaction | awk '{ print "composer", $1, $2 }'
