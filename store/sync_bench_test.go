package store

import (
	"fmt"
	"testing"

	"plimsoll/api"
)

// BenchmarkSync measures how many hosts a second the console hears for the first
// time, then with nothing new, then with one changed image, in a fleet that
// shares its images: 50 of 500 on each host.
func BenchmarkSync(b *testing.B) {
	const images, each = 500, 50
	list := make([]api.HostImage, images)
	for n := range list {
		list[n] = withContainers(hostImage(n, fmt.Sprintf("registry.test/team%d/app%d:1", n%20, n), fmt.Sprintf("registry.test/team%d/app%d:latest", n%20, n)), nil)
	}
	syncOf := func(host int) api.Sync {
		var held []api.HostImage
		for n := range each {
			held = append(held, list[(host*7+n*11)%images])
		}
		return fullSync(1, held...)
	}
	s := testStore(b)
	var hosts []int64
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			host := joinHost(b, s, fmt.Sprint("host ", len(hosts)))
			hosts = append(hosts, host)
			y := syncOf(len(hosts))
			b.StartTimer()
			mustSync(b, s, host, y)
		}
	})
	b.Run("same", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			mustSync(b, s, hosts[n%len(hosts)], syncOf(n%len(hosts)+1))
		}
	})
	b.Run("one changed", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			host := n % len(hosts)
			y := syncOf(host + 1)
			changed := withContainers(y.Images[0], map[string]bool{fmt.Sprint("c", n): true})
			mustSync(b, s, hosts[host], api.Sync{Seq: int64(n + 2), Images: []api.HostImage{changed}, Host: y.Host})
		}
	})
	b.Logf("%d hosts", len(hosts))
	checkCounts(b, s)
}
