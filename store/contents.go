package store

import (
	"context"
	"encoding/binary"

	"plimsoll"
)

// portion is software that an image has n instances of.
type portion struct{ software, n int64 }

// storeContents notes what an image contains, by ascending software.
func (t *tx) storeContents(image int64, list []portion) error {
	b := make([]byte, 0, 2*len(list))
	last := int64(0)
	for _, c := range list {
		b = binary.AppendUvarint(b, uint64(c.software-last))
		b = binary.AppendUvarint(b, uint64(c.n))
		last = c.software
	}
	_, err := t.exec("INSERT INTO contents (image_id, data) VALUES (?, ?) ON CONFLICT (image_id) DO UPDATE SET data = excluded.data", image, b)
	return err
}

// eachPortion calls f for what is noted in b, by ascending software; false when b is
// damaged.
func eachPortion(b []byte, f func(portion)) (ok bool) {
	last := int64(0)
	for len(b) > 0 {
		delta, size := binary.Uvarint(b)
		if size <= 0 || delta == 0 {
			return false
		}
		n, more := binary.Uvarint(b[size:])
		if more <= 0 {
			return false
		}
		b = b[size+more:]
		last += int64(delta)
		f(portion{last, int64(n)})
	}
	return true
}

// contents returns what images contain. What is not noted yet it counts and notes.
func (t *tx) contents(images []int64) (map[int64][]portion, error) {
	found := make(map[int64][]portion, len(images))
	rows, err := t.query("SELECT image_id, data FROM contents WHERE image_id IN ("+marks(len(images))+")", args(images)...)
	err = each(rows, err, func(scan func(...any) error) error {
		var image int64
		var data []byte
		if err := scan(&image, &data); err != nil {
			return err
		}
		list := make([]portion, 0, len(data)/2)
		if !eachPortion(data, func(c portion) { list = append(list, c) }) {
			return damagedContents(image)
		}
		found[image] = list
		return nil
	})
	if err != nil || len(found) == len(images) {
		return found, err
	}
	var missing []int64
	for _, image := range images {
		if _, ok := found[image]; !ok {
			missing = append(missing, image)
			found[image] = nil
		}
	}
	rows, err = t.query("SELECT image_id, software_id, count(*) FROM instance WHERE image_id IN ("+marks(len(missing))+
		") GROUP BY image_id, software_id ORDER BY image_id, software_id", args(missing)...) // as its index has them
	err = each(rows, err, func(scan func(...any) error) error {
		var image int64
		var c portion
		err := scan(&image, &c.software, &c.n)
		found[image] = append(found[image], c)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, image := range missing {
		if err := t.storeContents(image, found[image]); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// noteContents notes what all images contain that were read before it was noted.
func (s *Store) noteContents(ctx context.Context) error {
	for last, more := int64(0), true; more; {
		err := s.writeFindings(ctx, "note contents", func(t *tx) error {
			images, err := t.ids("SELECT id FROM image WHERE id > ? AND inventory > 0 AND NOT EXISTS (SELECT 1 FROM contents c WHERE c.image_id = image.id) ORDER BY id LIMIT ?", last, chunk)
			if more = len(images) > 0; err != nil || !more {
				return err
			}
			last = images[len(images)-1]
			_, err = t.contents(images)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func damagedContents(image int64) error {
	return plimsoll.Errorf(plimsoll.CodeCorrupt, "count findings", "the contents of image %d are damaged", image)
}
