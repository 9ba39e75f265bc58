# Packages of known names and old versions, empty but installed by composer.
export COMPOSER_ALLOW_SUPERUSER=1
mkdir -p /app /tmp/packages
cd /tmp/packages
require=
dev=
while read -r name version kind; do
	mkdir -p "$name"
	cat > "$name/composer.json" <<END
{"name": "$name", "version": "$version", "license": "MIT", "type": "library"}
END
	line="\"$name\": \"$version\""
	if [ "$kind" = dev ]; then dev="$dev, $line"; else require="$require, $line"; fi
done <<END
guzzlehttp/guzzle 6.5.5
guzzlehttp/psr7 1.8.3
laravel/framework v5.8.30
monolog/monolog 1.24.0
phpunit/phpunit 4.8.27 dev
smarty/smarty v3.1.33
symfony/http-foundation v4.4.0
symfony/http-kernel v4.4.0
twig/twig v2.12.0
END
cat > /app/composer.json <<END
{
  "name": "lab/app",
  "repositories": [
    {"type": "path", "url": "/tmp/packages/*/*", "options": {"symlink": false}},
    {"packagist.org": false}
  ],
  "require": {${require#, }},
  "require-dev": {${dev#, }}
}
END
composer install --working-dir=/app --no-interaction --no-progress
rm -r /tmp/packages
