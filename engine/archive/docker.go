package archive

import (
	"path"
	"regexp"

	"plimsoll"
	"plimsoll/engine"
)

// dockerManifest lists the images of a docker-save tar.
const dockerManifest = "manifest.json"

var hexDigest = regexp.MustCompile(`[0-9a-f]{64}`)

// indexDocker reads Docker's manifest.json. Beside an OCI layout it only adds
// names to the images that the layout has.
func (s *Store) indexDocker(besideLayout bool) error {
	var list []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := s.json(dockerManifest, &list); err != nil {
		return err
	}
	if len(list) > maxImages {
		return plimsoll.Errorf(plimsoll.CodeLimit, "read "+dockerManifest, "more than %d images", maxImages)
	}
	known := map[plimsoll.Digest]bool{}
	for _, img := range s.images {
		known[img.ID] = true
	}
	for _, m := range list {
		img, err := s.dockerConfig(m.Config)
		if err == nil {
			if besideLayout && known[img.ID] {
				for i := range s.images {
					if s.images[i].ID == img.ID {
						engine.SetNames(&s.images[i], m.RepoTags)
					}
				}
				continue
			}
			for i, name := range m.Layers {
				m.Layers[i] = path.Clean(name)
			}
			err = s.check(img, m.Layers)
		}
		if err != nil {
			p := engine.ProblemOf(err)
			img.Problem = &p
		}
		s.add(img, m.RepoTags)
	}
	return nil
}

// dockerConfig reads a configuration. The ID is what we compute; a file name
// that claims another one is an error.
func (s *Store) dockerConfig(name string) (plimsoll.Image, error) {
	b, err := s.files.read(path.Clean(name))
	if err != nil {
		return plimsoll.Image{}, missing(name, err)
	}
	img, err := engine.DecodeConfig(b)
	if claim := hexDigest.FindString(path.Base(name)); err == nil && claim != "" && claim != img.ID.Hex() {
		err = plimsoll.Errorf(plimsoll.CodeCorrupt, "verify configuration "+claim, "its content has digest %s", img.ID)
	}
	return img, err
}
