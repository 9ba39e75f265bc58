# needs: rpm rpmbuild
# PACKAGES has a line for each package: name, epoch or -, version, release, module
# label or -. All are of x86_64, whatever this machine is.
mkdir -p root/etc root/var/lib/rpm
printf '%s' "$OS_RELEASE" > root/etc/os-release
echo "$PACKAGES" | while read -r name epoch version release module; do
	{
		echo "Name: $name"
		[ "$epoch" = - ] || echo "Epoch: $epoch"
		[ "$module" = - ] || echo "ModularityLabel: $module"
		cat <<END
Version: $version
Release: $release
Vendor: $VENDOR
Summary: stand-in
License: MIT
%description
Stand-in.
%files
END
	} > "$name.spec"
	rpmbuild --quiet -bb --target x86_64-linux --define "_topdir $PWD/rpmbuild" --define "_rpmdir $PWD/rpms" "$name.spec"
done
rpm() { command rpm --root "$PWD/root" --dbpath /var/lib/rpm --define '_db_backend sqlite' "$@"; }
rpm --install --nodeps --nosignature --ignorearch --ignoreos --force rpms/x86_64/*.rpm
rpm --query --all --queryformat 'rpm %{NAME} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n' > "$TRUTH"
