package inventory

import (
	"context"
	"fmt"

	"plimsoll"
	"plimsoll/layerfs"
)

// links follows wanted names that are symbolic links in the merged image to
// files which no analyser wanted under their own name, such as an os-release
// that points into a store (acceptance OS-01).
func (m *merger) links(ctx context.Context) error {
	links, left := 0, int64(maxFollowed)
	for i, facts := range m.facts {
		for _, name := range facts.Links {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !m.stack.Visible(i, name) {
				continue
			}
			if links++; links > maxFollowedLinks || left < 0 {
				m.problem(plimsoll.Problem{Code: plimsoll.ProblemLimit, Path: name, Detail: fmt.Sprintf("the image has more than %d links to follow, or more than %d bytes behind them; this one and those after it were not followed", maxFollowedLinks, int64(maxFollowed))}, i)
				return nil
			}
			target, err := m.stack.Resolve(name)
			if err == nil && target.Kind == layerfs.KindOther {
				m.problem(plimsoll.Problem{Code: plimsoll.ProblemUnreadableFile, Path: name, Detail: "a device, FIFO or socket, which is never opened, stands where a file was expected"}, i)
				continue
			}
			if err != nil || target.Kind != layerfs.KindFile {
				m.astray(i, name) // dangling, looping or a directory: the name proves nothing (acceptance IMG-17)
				continue
			}
			for _, a := range m.scanner.Analyzers {
				if a.Wants(name) == Yes && a.Wants(target.Path) != Yes {
					left -= m.follow(ctx, a, name)
				}
			}
		}
	}
	return nil
}

// follow reads the file that a wanted name leads to and returns its size.
func (m *merger) follow(ctx context.Context, a Analyzer, name string) int64 {
	f, entry, err := m.stack.Open(name)
	if err != nil {
		m.problem(plimsoll.Problem{Code: plimsoll.ProblemUnreadableFile, Path: name, Analyzer: a.Name(), Detail: err.Error()}, -1)
		return 0
	}
	defer f.Close()
	found := m.scanner.analyze(ctx, a, File{Path: name, Size: f.Size, Mode: f.Mode, ReaderAt: f.ReaderAt, Sibling: m.open})
	start := len(m.packages)
	m.take(-1, a.Name(), &found)
	for i := start; i < len(m.packages); i++ {
		m.packages[i].Layer = m.task.Diffs[entry.Layer]
	}
	return f.Size
}

// open opens a file of the merged image.
func (m *merger) open(path string) (*layerfs.File, error) {
	f, _, err := m.stack.Open(path)
	return f, err
}
