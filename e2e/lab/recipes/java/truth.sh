dpkg-query --show --showformat='${db:Status-Status} deb ${Package} ${Version}\n' | sed -n "s/^installed //p"
# Every pom.properties is one line: of the jars themselves and of those inside /app.
poms() {
	unzip -Z1 "$1" 2>/dev/null | grep '^META-INF/maven/.*/pom\.properties$' | while read -r pom; do
		unzip -p "$1" "$pom" | tr -d '\r' | awk -F= '
			{ value[$1] = $2 }
			END { print "maven", value["groupId"] ":" value["artifactId"], value["version"] }'
	done
}
find / -xdev -type f \( -name '*.jar' -o -name '*.war' \) ! -path '/proc/*' | sort | while read -r archive; do
	poms "$archive"
	case $archive in /app/*)
		rm -rf /tmp/nested
		unzip -q "$archive" -d /tmp/nested 2>/dev/null || [ $? = 1 ] # 1 warns of the script in front
		find /tmp/nested -name '*.jar' | sort | while read -r jar; do poms "$jar"; done
	esac
done
