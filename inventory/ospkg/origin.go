package ospkg

import "strings"

// debOrigins recognises Debian packages that their makers publish themselves.
// A row needs one of: a word of the maintainer or vendor field (an address or
// domain that no maintainer of Debian or Ubuntu uses for packages of the
// distribution), a mark in the version. A wrong row hides findings, so a name
// belongs here only when the distribution itself never uses it.
var debOrigins = [...]struct{ origin, maintainer, version string }{
	{"Adoptium", "temurin-dev@eclipse.org", ""},
	{"Amazon Corretto", "corretto-team@amazon.com", ""},
	{"Azul", "@azul.com", ""},
	{"Chef", "@chef.io", ""},
	{"ClickHouse", "@clickhouse.com", ""},
	{"Containerd", "help@containerd.io", ""},
	{"Datadog", "package@datadoghq.com", ""},
	{"Docker", "support@docker.com", ""},
	{"Elastic", "info@elastic.co", ""},
	{"GitHub", "opensource+cli@github.com", ""},
	{"GitLab", "@gitlab.com", ""},
	{"Google", "chromium-dev@chromium.org", ""},
	{"Google", "cloud-sdk-eng@google.com", ""},
	{"Google", "google cloud cli authors", ""},
	{"Grafana", "contact@grafana.com", ""},
	{"HashiCorp", "@hashicorp.com", ""},
	{"InfluxData", "support@influxdb.com", ""},
	{"InfluxData", "support@influxdata.com", ""},
	{"Kubernetes", "kubernetes authors", ""},
	{"MariaDB", "", "+maria~"},
	{"Microsoft", "dotnetpackages@dotnetfoundation.org", ""},
	{"Microsoft", "nugetaspnet@microsoft.com", ""},
	{"Microsoft", "gpgsecurity@microsoft.com", ""},
	{"Microsoft", "vscode-linux@microsoft.com", ""},
	{"MongoDB", "packaging@mongodb.com", ""},
	{"MySQL", "mysql-build@oss.oracle.com", ""},
	{"NGINX", "nginx-packaging@", ""},
	{"NodeSource", "@nodesource.com", ""},
	{"NodeSource", "", "nodesource"},
	{"NVIDIA", "cudatools@nvidia.com", ""},
	{"Percona", "@percona.com", ""},
	{"PGDG", "", ".pgdg"},
	{"PPA", "", "~ppa"},
	{"Puppet", "info@puppetlabs.com", ""},
	{"Puppet", "release@puppet.com", ""},
	{"Sury", "", "+deb.sury.org"},
	{"Tailscale", "info@tailscale.com", ""},
	{"Varnish", "@varnish-software.com", ""},
	{"Yarn", "yarn@dan.cx", ""},
	{"Zabbix", "@zabbix.com", ""},
}

// debOrigin names who made a Debian package when it was not the distribution;
// empty when nothing tells (acceptance DEB-10).
func debOrigin(maintainer, vendor, version string) string {
	maintainer = strings.ToLower(maintainer)
	vendor = strings.ToLower(vendor)
	for _, o := range debOrigins {
		if o.version != "" && strings.Contains(version, o.version) ||
			o.maintainer != "" && (strings.Contains(maintainer, o.maintainer) || strings.Contains(vendor, o.maintainer)) {
			return o.origin
		}
	}
	return ""
}

// rpmVendors are the vendors that distributions write into their own packages,
// in lower case. Some of them publish for other distributions too; own is then
// the mark of their own packages in the release.
var rpmVendors = [...]struct{ vendor, own, foreign string }{
	{"almalinux", "", ""},
	{"amazon linux", "", ""},
	{"amazon.com", ".amzn", "Amazon"},
	{"anolis", "", ""},
	{"centos", "", ""},
	{"cloudlinux", "", ""},
	{"ctyunos", "", ""},
	{"eulerosvendor", "", ""},
	{"euleros", "", ""},
	{"fedora project", "", ""}, // see rpmOrigin
	{"huawei", "", ""},
	{"kylin", "", ""},
	{"mageia", "", ""},
	{"microsoft corporation", ".cm", "Microsoft"},
	{"microsoft corporation", ".azl", "Microsoft"},
	{"openanolis", "", ""},
	{"openeuler", "", ""},
	{"http://openeuler.org", "", ""},
	{"opensuse", "", ""},
	{"oracle america", "", ""},
	{"red hat", "", ""},
	{"rocky", "", ""},
	{"scientific linux", "", ""},
	{"suse", "", ""},
	{"tencent", "", ""},
	{"uniontech", "", ""},
	{"vmware, inc", ".ph", "VMware"},
}

// rpmOrigins shortens the vendor texts of well-known third parties. Lower case.
var rpmOrigins = [...]struct{ vendor, origin string }{
	{"datadog", "Datadog"},
	{"docker", "Docker"},
	{"elastic", "Elastic"},
	{"github", "GitHub"},
	{"gitlab", "GitLab"},
	{"google", "Google"},
	{"grafana", "Grafana"},
	{"hashicorp", "HashiCorp"},
	{"ius", "IUS"},
	{"mariadb", "MariaDB"},
	{"mongodb", "MongoDB"},
	{"nginx", "NGINX"},
	{"nodesource", "NodeSource"},
	{"nvidia", "NVIDIA"},
	{"obs://", "Open Build Service"},
	{"oracle and/or its affiliates", "MySQL"},
	{"percona", "Percona"},
	{"postgresql", "PGDG"},
	{"puppet", "Puppet"},
	{"remi", "Remi"},
	{"rpm fusion", "RPM Fusion"},
	{"rpmfusion", "RPM Fusion"},
	{"zabbix", "Zabbix"},
}

// rpmReleases are the marks that third parties put into the release of a package
// for which they name no vendor.
var rpmReleases = [...]struct{ mark, origin string }{
	{"PGDG", "PGDG"},
	{"nodesource", "NodeSource"},
	{".remi", "Remi"},
}

// rpmOrigin names who made an rpm package when it was not the distribution
// (acceptance RPM-09). An rpm names its vendor, so unlike with Debian packages
// an unknown vendor counts as a third party; no vendor at all does not.
func rpmOrigin(vendor, release string) string {
	v := strings.ToLower(vendor)
	switch {
	case v == "" || v == "(none)":
		for _, o := range rpmReleases {
			if strings.Contains(release, o.mark) {
				return o.origin
			}
		}
		return ""
	case strings.HasPrefix(v, "fedora project") && strings.Contains(release, ".el"):
		return "EPEL" // Fedora's packages for Enterprise Linux
	}
	foreign := ""
	for _, own := range rpmVendors {
		if !strings.HasPrefix(v, own.vendor) {
			continue
		}
		if strings.Contains(release, own.own) {
			return ""
		}
		foreign = own.foreign
	}
	if foreign != "" {
		return foreign
	}
	for _, o := range rpmOrigins {
		if strings.HasPrefix(v, o.vendor) {
			return o.origin
		}
	}
	return vendor
}
