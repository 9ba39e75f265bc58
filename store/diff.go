package store

import (
	"context"

	"plimsoll"
	"plimsoll/api"
)

// DiffImages returns what changed from one image to another; both must be in
// sight, and both must have been read, or what nobody looked for would seem gone.
func (s *Store) DiffImages(ctx context.Context, scope plimsoll.Scope, from, to int64) (d api.ImageDiff, err error) {
	const op = "compare images"
	if from == to {
		return d, plimsoll.Errorf(plimsoll.CodeInvalid, op, "an image does not differ from itself")
	}
	err = s.read(ctx, op, func(t *tx) error {
		for id, at := range map[int64]*api.Image{from: &d.From, to: &d.To} {
			if *at, err = t.lookImage(scope, id); err != nil {
				return err
			}
			n, err := t.count("image", where{conditions: []string{"id = ? AND inventory = 0"}, args: []any{id}})
			if err != nil {
				return err
			}
			if n > 0 {
				return &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: op, Err: plimsoll.Errorf(plimsoll.CodeInvalid, op, "nobody has read image %d yet", id), Hint: "scan it first"}
			}
		}
		if err := t.diffPackages(from, to, &d); err != nil {
			return err
		}
		return t.diffVulnerabilities(from, to, &d)
	})
	return d, err
}

// add counts an item and keeps it if it is one of the first.
func add[T any](list *api.Bounded[T], item T) {
	const most = 1000
	if list.Total++; list.Total <= most {
		list.Items = append(list.Items, item)
	}
}

// Rows of one image alone are the difference; its ID says on which side.
const (
	ofTwo  = " WHERE n.image_id IN (?, ?)"
	ofOne  = " HAVING count(DISTINCT n.image_id) = 1"
	whose  = "min(n.image_id)"
	inside = "instance n JOIN software s ON s.id = n.software_id"
)

func (t *tx) diffPackages(from, to int64, d *api.ImageDiff) error {
	d.Added.Items, d.Removed.Items, d.Changed.Items = []api.PackageChange{}, []api.PackageChange{}, []api.PackageChange{}
	var p api.PackageChange
	end := func() {
		switch {
		case len(p.From) > 0 && len(p.To) > 0:
			add(&d.Changed, p)
		case len(p.From) > 0:
			add(&d.Removed, p)
		case len(p.To) > 0:
			add(&d.Added, p)
		}
	}
	rows, err := t.query("SELECT s.type, s.name, s.version, "+whose+" FROM "+inside+ofTwo+" GROUP BY s.type, s.name, s.version"+ofOne+
		" ORDER BY s.name, s.type, s.version", from, to)
	err = each(rows, err, func(scan func(...any) error) error {
		var next api.PackageChange
		var version string
		var image int64
		if err := scan(&next.Type, &next.Name, &version, &image); err != nil {
			return err
		}
		if next.Type != p.Type || next.Name != p.Name {
			end()
			p = next
		}
		if image == from {
			p.From = append(p.From, version)
		} else {
			p.To = append(p.To, version)
		}
		return nil
	})
	end()
	return err
}

func (t *tx) diffVulnerabilities(from, to int64, d *api.ImageDiff) error {
	d.New.Items, d.Gone.Items = []api.VulnerablePackage{}, []api.VulnerablePackage{}
	rows, err := t.query("SELECT v.name, m.class, max(m.severity), s.type, s.name, "+whose+" FROM "+inside+
		" JOIN match m ON m.software_id = s.id AND "+counted+" JOIN vulnerability v ON v.id = m.vulnerability_id"+ofTwo+
		" GROUP BY v.name, m.class, s.type, s.name"+ofOne+" ORDER BY 3 DESC, 1, 4, 5", from, to)
	return each(rows, err, func(scan func(...any) error) error {
		var v api.VulnerablePackage
		var severity plimsoll.Severity
		var image int64
		if err := scan(&v.Vulnerability, &v.Class, &severity, &v.Type, &v.Package, &image); err != nil {
			return err
		}
		v.Severity = severity.String()
		if image == from {
			add(&d.Gone, v)
		} else {
			add(&d.New, v)
		}
		return nil
	})
}
