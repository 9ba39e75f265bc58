package plimsoll

import "testing"

func TestADV12NormalizeName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ ecosystem, name, want string }{
		{"PyPI", "requests", "requests"},
		{"PyPI", "Zope.Interface", "zope-interface"},
		{"PyPI", "a-_.b", "a-b"},
		{"PyPI", "_private_", "-private-"},
		{"PyPI", "a--b", "a-b"},
		{"Echo:PyPi", "Ruamel.Yaml", "ruamel-yaml"},
		{"NuGet", "Newtonsoft.Json", "newtonsoft.json"},
		{"Packagist", "Symfony/HTTP-Kernel", "symfony/http-kernel"},
		{"Packagist:https://packages.drupal.org/8", "drupal/Core", "drupal/core"},
		{"npm", "JSONStream", "JSONStream"},
		{"npm", "@scope/Name", "@scope/Name"},
		{"Go", "github.com/BurntSushi/toml", "github.com/BurntSushi/toml"},
		{"Maven", "org.Example:lib_2.13", "org.Example:lib_2.13"},
		{"RubyGems", "RedCloth", "RedCloth"},
		{"crates.io", "serde_json", "serde_json"},
		{"Debian:12", "libstdc++6", "libstdc++6"},
		{"", "", ""},
	} {
		if got := NormalizeName(tt.ecosystem, tt.name); got != tt.want {
			t.Errorf("NormalizeName(%q, %q) = %q, want %q", tt.ecosystem, tt.name, got, tt.want)
		}
		if got := NormalizeName(tt.ecosystem, tt.want); got != tt.want {
			t.Errorf("%q of %q is not stable: %q", tt.want, tt.ecosystem, got)
		}
	}
}
