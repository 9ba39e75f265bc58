package plimsoll

import (
	"strconv"
	"testing"
)

func TestMarkBase(t *testing.T) {
	t.Parallel()
	made, none := func(step string) History { return History{CreatedBy: step} }, func(step string) History {
		return History{CreatedBy: step, EmptyLayer: true}
	}
	image := func(history ...History) Image {
		var diffs []Digest
		for i, h := range history {
			if !h.EmptyLayer {
				diffs = append(diffs, DigestOf([]byte(strconv.Itoa(i)+h.CreatedBy)))
			}
		}
		return Image{Layers: NewLayers(diffs, history), History: history}
	}
	root, run, add := made("ADD rootfs"), made("RUN x"), made("COPY y")
	for name, tt := range map[string]struct {
		images []Image
		want   int // layers of the first image that are its base's
	}{
		"nothing tells":          {[]Image{image(root, run)}, 0},
		"BuildKit":               {[]Image{image(root, none(`CMD ["bash"]`), run)}, 1},
		"older builders":         {[]Image{image(root, none(`/bin/sh -c #(nop)  ENTRYPOINT ["x"]`), run)}, 1},
		"the image's own":        {[]Image{image(root, run, none(`CMD ["x"]`))}, 0},
		"a health check":         {[]Image{image(root, none(`CMD ["bash"]`), run, none(`HEALTHCHECK &{["CMD-SHELL" "x"]}`), add)}, 1},
		"a variable":             {[]Image{image(root, none("ENV CMD=x"), run)}, 0},
		"another image":          {[]Image{image(root, run, add), image(root, run), image(root)}, 2},
		"the same image twice":   {[]Image{image(root, run), image(root, run)}, 0},
		"more history than true": {[]Image{image(none(`CMD ["x"]`))}, 0},
	} {
		MarkBase(tt.images)
		got := 0
		for _, l := range tt.images[0].Layers {
			if l.Base {
				got++
			}
		}
		if got != tt.want {
			t.Errorf("%s: %d layers, want %d", name, got, tt.want)
		}
	}
}
