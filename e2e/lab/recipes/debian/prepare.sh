# needs: mmdebstrap apt-get awk
# The archive is the one that this machine's apt uses.
uri() {
	apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
		awk -F '|' -v label="$1" '$1 == label { print $2; exit }'
}
main=$(uri Debian)
security=$(uri Debian-Security)
[ "$main" ] || { echo "apt knows no Debian archive: run apt-get update" >&2; exit 1; }

sources="deb $main $SUITE main"
if [ "$SUITE" != sid ]; then
	sources="$sources
deb $main $SUITE-updates main"
	[ ! "$security" ] || sources="$sources
deb $security $SUITE-security main"
fi
echo "$sources" |
	mmdebstrap --quiet --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' "$SUITE" rootfs.tar -
