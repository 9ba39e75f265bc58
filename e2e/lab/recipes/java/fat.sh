# Debian's jars become nested jars as Spring Boot and a servlet container have them.
mkdir -p /app /tmp/boot/BOOT-INF/lib /tmp/boot/META-INF /tmp/war/WEB-INF/lib
nested() { # directory, names of jars, whose file names get versions
	to=$1
	shift
	for jar; do cp -L /usr/share/java/"$jar"-[0-9]*.jar "$to"; done
}
nested /tmp/boot/BOOT-INF/lib commons-collections3 commons-fileupload gson guava jackson-core \
	jackson-databind log4j-api log4j-core spring3-core spring3-web
nested /tmp/war/WEB-INF/lib commons-io xstream

# A renamed log4j-core that calls itself 2.14.1.
pom=META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties
cd /tmp/war
cp -L /usr/share/java/log4j-core.jar WEB-INF/lib/logging.jar
unzip -q WEB-INF/lib/logging.jar "$pom"
sed -i 's/^version=.*/version=2.14.1/' "$pom"
zip -q WEB-INF/lib/logging.jar "$pom"
rm -r META-INF

printf 'Manifest-Version: 1.0\r\nMain-Class: org.springframework.boot.loader.JarLauncher\r\n\r\n' \
	> /tmp/boot/META-INF/MANIFEST.MF
(cd /tmp/boot && zip -q -0 -r /tmp/fat.jar .)
(cd /tmp/war && zip -q -r /app/shop.war .)

# A shell script in front makes the jar a program; the zip's offsets stay unadjusted.
{ printf '#!/bin/sh\nexec java -jar "$0" "$@"\n'; cat /tmp/fat.jar; } > /app/fat.jar
chmod +x /app/fat.jar
rm -r /tmp/boot /tmp/war /tmp/fat.jar
