package store

import (
	"database/sql"
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

// contents returns what images contain.
func (t *tx) contents(images []int64) (map[int64][]portion, error) {
	found := make(map[int64][]portion, len(images))
	rows, err := t.query("SELECT image_id, data FROM contents WHERE image_id IN ("+marks(len(images))+")", args(images)...)
	return found, each(rows, err, func(scan func(...any) error) error {
		var image int64
		var data sql.RawBytes
		if err := scan(&image, &data); err != nil {
			return err
		}
		list := make([]portion, 0, len(data)/2)
		if !eachPortion(data, func(p portion) { list = append(list, p) }) {
			return damagedContents(image)
		}
		found[image] = list
		return nil
	})
}

// fillContents notes what all images contain and which risks are open there, by
// their instances and shares.
func (t *tx) fillContents() error {
	for last := int64(0); ; {
		images, err := t.ids("SELECT id FROM image WHERE id > ? AND inventory > 0 ORDER BY id LIMIT ?", last, chunk)
		if err != nil || len(images) == 0 {
			return err
		}
		last = images[len(images)-1]
		list := make(map[int64][]portion, len(images))
		rows, err := t.query("SELECT image_id, software_id, count(*) FROM instance WHERE image_id IN ("+marks(len(images))+
			") GROUP BY image_id, software_id ORDER BY image_id, software_id", args(images)...) // as its index has them
		err = each(rows, err, func(scan func(...any) error) error {
			var image int64
			var p portion
			err := scan(&image, &p.software, &p.n)
			list[image] = append(list[image], p)
			return err
		})
		if err != nil {
			return err
		}
		shares, err := t.shares(images)
		if err != nil {
			return err
		}
		for _, image := range images {
			if err := t.storeContents(image, list[image]); err != nil {
				return err
			}
			if data, ok := shares[image]; ok {
				s, ok := decodeShare(data)
				if !ok {
					return damaged(image)
				}
				if err := t.storeOpen(image, s.open()); err != nil {
					return err
				}
			}
		}
	}
}

// open encodes the keys of the risks that are open, as differences of their numbers;
// nil for none.
func (s share) open() (b []byte) {
	last := int64(0)
	for _, r := range s.risks {
		if r.riskShare.open > 0 {
			n := r.number()
			b = binary.AppendUvarint(b, uint64(n-last))
			last = n
		}
	}
	return b
}

// number is a key's, in the order of compareRisks.
func (k riskKey) number() int64 { return k.vulnerability<<1 + bit(k.class == plimsoll.ClassSystem) }

func (t *tx) storeOpen(image int64, data []byte) (err error) {
	if data == nil {
		_, err = t.exec("DELETE FROM open_risk WHERE image_id = ?", image)
	} else {
		_, err = t.exec("INSERT INTO open_risk (image_id, data) VALUES (?, ?) ON CONFLICT (image_id) DO UPDATE SET data = excluded.data", image, data)
	}
	return err
}

// eachOpen calls f with the images that have open risks, and the numbers of those
// among the wanted, which ascend.
func (t *tx) eachOpen(wanted []int64, f func(image int64, which int)) error {
	rows, err := t.query("SELECT image_id, data FROM open_risk")
	var image int64
	var data sql.RawBytes
	return each(rows, err, func(scan func(...any) error) error {
		if err := scan(&image, &data); err != nil {
			return err
		}
		left, number := wanted, int64(0)
		for b := data; len(b) > 0 && len(left) > 0; {
			delta, size := int64(b[0]), 1
			if delta >= 0x80 { // few are so far apart
				var n uint64
				if n, size = binary.Uvarint(b); size <= 0 {
					return damagedContents(image)
				}
				delta = int64(n)
			}
			b = b[size:]
			number += delta
			for len(left) > 0 && left[0] < number {
				left = left[1:]
			}
			if len(left) > 0 && left[0] == number {
				f(image, len(wanted)-len(left))
			}
		}
		return nil
	})
}

func damagedContents(image int64) error {
	return plimsoll.Errorf(plimsoll.CodeCorrupt, "count findings", "the contents of image %d are damaged", image)
}
