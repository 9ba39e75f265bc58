package local

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
)

// IMG-03: every way in which people name an image.
func TestIMG03NamesOfImages(t *testing.T) {
	id := func(c string) plimsoll.Digest { return plimsoll.Digest("sha256:" + strings.Repeat(c, 64)) }
	image := func(c string, names ...string) Image {
		return Image{Image: plimsoll.Image{ID: id(c), Names: names, Manifests: []plimsoll.Digest{id("f")}}}
	}
	all := []Image{
		image("a", "debian:12"),
		image("b", "debian:latest"),
		image("c", "my--app:v1--rc"),
		image("d", "Host.Example:5000/team/app:2", "Host.Example:5000/team/app@"+string(id("f"))),
		image("e"),
		image("a", "localhost/debian:12"), // the same image in a second engine
		image("1", "only/one:7"),
	}
	for ref, want := range map[string][]plimsoll.Digest{
		"debian:12":                    {id("a")},
		"docker.io/library/debian:12":  {id("a")},
		"debian":                       {id("b")}, // latest before any other tag
		"my--app:v1--rc":               {id("c")},
		"my--app":                      {id("c")},
		"Host.Example:5000/team/app:2": {id("d")},
		"Host.Example:5000/team/app":   {id("d")},
		"debian@" + string(id("f")):    {id("a"), id("b")},
		string(id("e")):                {id("e")},
		id("e").Hex():                  {id("e")},
		"eeee":                         {id("e")},
		"only/one":                     {id("1")},
	} {
		found, err := (&Host{}).Find(all, ref)
		var got []plimsoll.Digest
		for _, f := range found {
			got = append(got, f.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", ref, err, diff)
		}
	}
	for _, ref := range []string{"debian:13", "eee", "one", "sha256:", "@", ""} {
		if found, err := (&Host{}).Find(all, ref); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("%q: found %v, %v", ref, found, err)
		}
	}
}

func TestIMG03BeginningOfTwoIDsIsAmbiguous(t *testing.T) {
	all := []Image{
		{Image: plimsoll.Image{ID: plimsoll.Digest("sha256:abcd" + strings.Repeat("0", 60))}},
		{Image: plimsoll.Image{ID: plimsoll.Digest("sha256:abcd" + strings.Repeat("1", 60))}},
	}
	if found, err := (&Host{}).Find(all, "abcd"); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
		t.Errorf("found %v, %v", found, err)
	}
	if found, err := (&Host{}).Find(all, "abcd1"); err != nil || len(found) != 1 {
		t.Errorf("found %v, %v", found, err)
	}
}

func TestMergedKeepsTheReadableOne(t *testing.T) {
	a := Image{Image: plimsoll.Image{ID: "x", Names: []string{"a"}, Problem: &plimsoll.Problem{}}}
	b := Image{Image: plimsoll.Image{ID: "x", Names: []string{"b"}}}
	got := Merged([]Image{a, b})
	if len(got) != 1 || got[0].Problem != nil || len(got[0].Names) != 2 {
		t.Errorf("got %+v", got)
	}
}

// owned is a store of some user.
type owned struct {
	Store
	uid uint32
}

func (o owned) Owner() uint32 { return o.uid }

func TestMergedPrefersTheSystemsStore(t *testing.T) {
	user := Image{Image: plimsoll.Image{ID: "x", Store: "user"}, store: owned{uid: 1000}}
	system := Image{Image: plimsoll.Image{ID: "x", Store: "system"}, store: owned{uid: 0}}
	for _, all := range [][]Image{{user, system}, {system, user}} {
		if got := Merged(all); len(got) != 1 || got[0].Store != "system" {
			t.Errorf("got %+v", got)
		}
	}
}
