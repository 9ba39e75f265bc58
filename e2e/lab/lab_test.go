//go:build e2e

package lab

import "testing"

func TestBuild(t *testing.T) {
	for _, r := range []Recipe{
		Tiny("my--app:v1--rc"), Tiny(""), HundredLayers(), Debian("12"), Debian("11"), Debian("13"), Debian("sid"),
		Layered(), GoStatic(), Go(), Node(), Python(),
	} {
		t.Run(r.Name, func(t *testing.T) { t.Log(r.ID(t)) })
	}
}
