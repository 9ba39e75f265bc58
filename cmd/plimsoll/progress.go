package main

import (
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"plimsoll/report"
)

// progress shows on a terminal how far a run of steps is. Elsewhere it shows
// nothing.
type progress struct {
	bars *mpb.Progress
	bar  *mpb.Bar
	name atomic.Pointer[string] // read by the goroutine that draws
	at   int64
}

func (a *app) progress(verb string, total int) *progress {
	p := &progress{}
	if a.quiet || a.noProgress || !isTerminal(a.stderr) {
		return p
	}
	p.show("")
	p.bars = mpb.New(mpb.WithOutput(a.stderr), mpb.WithWidth(32))
	p.bar = p.bars.AddBar(int64(total),
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(verb+" "), decor.CountersNoUnit("%d/%d")),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return *p.name.Load() })),
	)
	return p
}

func (p *progress) show(name string) {
	name = " " + report.Text(name)
	p.name.Store(&name)
}

// step says that the work on name begins, and that what began before is done.
func (p *progress) step(name string) {
	if p.bar == nil {
		return
	}
	p.show(name)
	p.bar.SetCurrent(p.at)
	p.at++
}

// count says how much of total is done.
func (p *progress) count(name string, done, total int64) {
	if p.bar == nil {
		return
	}
	p.show(name)
	p.bar.SetTotal(total, false)
	p.bar.SetCurrent(done)
}

func (p *progress) done() {
	if p.bar == nil {
		return
	}
	p.bar.Abort(true)
	p.bars.Wait()
	p.bar = nil
}
