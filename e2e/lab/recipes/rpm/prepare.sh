# needs: rpm python3
release() { # ID, VERSION_ID, NAME, CPE_NAME
	printf 'ID="%s"\nVERSION_ID="%s"\nNAME="%s"\nPRETTY_NAME="%s %s"\nCPE_NAME="%s"\n' "$1" "$2" "$3" "$3" "$2" "$4"
}
mkdir -p root/etc root/usr/lib root/var/lib/rpm
case ${FIXTURE##*/} in
cbl-mariner-2.0) release mariner 2.0 'CBL-Mariner' '' ;;
fedora35) release fedora 35 'Fedora Linux' 'cpe:/o:fedoraproject:fedora:35' ;;
sle15-bci) release sles 15.3 'SLES' 'cpe:/o:suse:sles:15:sp3' ;;
centos8-*) release centos 8 'CentOS Linux' 'cpe:/o:centos:centos:8' ;;
*) echo "no os-release is known for $FIXTURE" >&2; exit 1 ;;
esac > root/usr/lib/os-release
ln -s ../usr/lib/os-release root/etc/os-release

name=$(ls "$FIXTURE")
cat "$FIXTURE/$name" > "root/var/lib/rpm/$name"

# rpm writes beside the database it reads, so it gets a copy.
cp -r root/var/lib/rpm copy
case $name in
rpmdb.sqlite) backend=sqlite ;;
Packages) backend=bdb_ro ;;
Packages.db) # Debian's rpm does not read ndb but imports its headers
	backend=sqlite
	python3 ndb.py copy/Packages.db | rpmdb --importdb --dbpath "$PWD/copy" --define '_db_backend sqlite'
	;;
esac
rpm --query --all --dbpath "$PWD/copy" --define "_db_backend $backend" \
	--queryformat 'rpm %{NAME} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n' |
	grep -v '^rpm gpg-pubkey ' > "$TRUTH"
tar --create --file rootfs.tar --directory root .
