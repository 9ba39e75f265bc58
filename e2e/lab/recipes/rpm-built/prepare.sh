# needs: rpm rpmbuild
build() { # name, epoch or "", version, release, vendor, module label
	cat > "$1.spec" <<END
Name: $1
${2:+Epoch: $2}
Version: $3
Release: $4
Vendor: $5
${6:+ModularityLabel: $6}
Summary: stand-in
License: MIT
BuildArch: noarch
%description
Stand-in.
%install
mkdir -p %{buildroot}/usr/share/lab
echo $1 > %{buildroot}/usr/share/lab/$1-$3-$4
%files
/usr/share/lab/$1-$3-$4
END
	rpmbuild --quiet -bb --define "_topdir $PWD/rpmbuild" --define "_rpmdir $PWD/rpms" "$1.spec"
}
build bash '' 4.4.20 4.el8_6 'Rocky Enterprise Software Foundation'
build openssl-libs 1 1.1.1k 5.el8_5 'Rocky Enterprise Software Foundation'
build kernel-core '' 4.18.0 348.el8 'Rocky Enterprise Software Foundation'
build kernel-core '' 4.18.0 372.9.1.el8 'Rocky Enterprise Software Foundation'
build nodejs 1 14.18.2 2.module+el8.5.0+729+d05aa396 'Rocky Enterprise Software Foundation' \
	nodejs:14:8050020211213115342:c5368500
build postgresql14 '' 14.1 1PGDG.rhel8 'PostgreSQL Global Development Group'
build removed '' 1.0 1.el8 'Rocky Enterprise Software Foundation'

mkdir -p root/etc root/usr/lib
cat > root/usr/lib/os-release <<END
NAME="Rocky Linux"
ID="rocky"
ID_LIKE="rhel centos fedora"
VERSION_ID="8.5"
PRETTY_NAME="Rocky Linux 8.5 (Green Obsidian)"
CPE_NAME="cpe:/o:rocky:rocky:8.5:GA"
END
ln -s ../usr/lib/os-release root/etc/os-release
rpm() { command rpm --root "$PWD/root" --dbpath /var/lib/rpm --define '_db_backend sqlite' "$@"; }
rpm --install --nodeps --nosignature --force rpms/noarch/*.rpm
rpm --erase removed
rpm --query --all --queryformat 'rpm %{NAME} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n' > "$TRUTH"
tar --create --file rootfs.tar --directory root .
