package plimsoll

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
)

func TestOS09Rebuilder(t *testing.T) {
	for _, tt := range []struct {
		p    Package
		want string
	}{
		{Package{Type: TypeDeb, Name: "libssl3", Version: "3.0.11-1~deb12u2.root.io.1"}, "Root"},
		{Package{Type: TypeDeb, Name: "nginx", Version: "1.18.0-6+deb11u3-r20072"}, "Root"},
		{Package{Type: TypeAPK, Name: "curl", Version: "8.5.0-r10071"}, "Root"},
		{Package{Type: TypePyPI, Name: "requests", Version: "2.31.0+root.io.5"}, "Root"},
		{Package{Type: TypeAPK, Name: "curl", Version: "8.5.0-r10"}, ""},
		{Package{Type: TypeAPK, Name: "tzdata", Version: "2007-r0"}, ""},
		{Package{Type: TypeRPM, Name: "seal-zlib", Version: "1.2.11-31.el9"}, "Seal"},
		{Package{Type: TypeDeb, Name: "zlib1g", Version: "1:1.2.13-1", Source: SourcePackage{Name: "seal-zlib"}}, "Seal"},
		{Package{Type: TypeNPM, Name: "@seal-security/ejs", Version: "3.1.8"}, "Seal"},
		{Package{Type: TypeMaven, Name: "org.eclipse.jetty:jetty-http", Version: "9.4.48+sp1"}, "Seal"},
		{Package{Type: TypeMaven, Name: "org.hibernate:hibernate", Version: "5.2.sp1"}, ""},
		{Package{Type: TypeCargo, Name: "seal-crate", Version: "1.0.0"}, ""},
		{Package{Type: TypePyPI, Name: "pip", Version: "25.2+echo.1"}, "Echo"},
		{Package{Type: TypeDeb, Name: "coreutils", Version: "9.7-3+dhi4"}, "Docker Hardened Images"},
		{Package{Type: TypeDeb, Name: "bash", Version: "5.1-6ubuntu1+rf2"}, "RapidFort"},
		{Package{Type: TypeRPM, Name: "krb5-libs", Version: "1:3.2.2-19.rf"}, "RapidFort"},
		{Package{Type: TypeDeb, Name: "rfc-editor", Version: "1.0+rfc1"}, ""},
		{Package{Type: TypeMaven, Name: "org.springframework:spring-web", Version: "5.3.39-tuxcare.1"}, "TuxCare"},
		{Package{Type: TypeDeb, Name: "bash", Version: "5.2.15-2+b2"}, ""},
	} {
		if got := tt.p.Rebuilder(); got != tt.want {
			t.Errorf("%s %s %s: %q, want %q", tt.p.Type, tt.p.Name, tt.p.Version, got, tt.want)
		}
	}
}

// What a rebuilt package owns is not what the distribution speaks about either.
func TestOS09OwnedByARebuiltPackage(t *testing.T) {
	inv := Inventory{Packages: []Package{
		{Type: TypeDeb, Name: "python3-six", Version: "1.16.0-4.root.io.1"},
		{Type: TypePyPI, Name: "six", Version: "1.16.0", Owner: "python3-six"},
		{Type: TypeDeb, Name: "python3-yaml", Version: "6.0-3+b2"},
		{Type: TypePyPI, Name: "PyYAML", Version: "6.0", Owner: "python3-yaml"},
	}}
	if got, want := inv.Owned(), []bool{false, false, false, true}; !slices.Equal(got, want) {
		t.Errorf("owned: %v, want %v", got, want)
	}
	// Unless the whole system is the rebuilder's.
	inv = Inventory{Systems: []OS{{ID: "echo"}}, Packages: []Package{
		{Type: TypeDeb, Name: "python3-six", Version: "1.16.0-4+echo.1"}, {Type: TypePyPI, Name: "six", Version: "1.16.0", Owner: "python3-six"},
	}}
	if got, want := inv.Owned(), []bool{false, true}; !slices.Equal(got, want) {
		t.Errorf("owned on the rebuilder's system: %v, want %v", got, want)
	}
}

// TestRebuilderTable keeps the data in order.
func TestRebuilderTable(t *testing.T) {
	d := json.NewDecoder(bytes.NewReader(rebuildersJSON))
	d.DisallowUnknownFields()
	var table []rebuilder
	if err := d.Decode(&table); err != nil {
		t.Fatal(err)
	}
	for i, r := range table {
		if r.Name == "" || r.Package == "" && r.Version == "" || r.Pattern != "" && r.Version == "" ||
			!slices.IsSorted(r.Types) || i > 0 && table[i-1].Name > r.Name {
			t.Errorf("row %d of %s is out of order", i, r.Name)
		}
	}
}
