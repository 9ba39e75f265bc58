package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"plimsoll"
	"plimsoll/inventory"
	"plimsoll/layerfs"
)

// Descriptors of a child after the standard ones.
const (
	boardFD = 3 + iota
	scratchFD
	firstLayerFD
)

// Exit codes of a child.
const (
	exitDone   = 0
	exitOrphan = 3 // the parent is gone, or does not speak as it should
)

// Child is all that a process started with Command does; it does not return. The
// analysers are those that the parent has.
func Child(analyzers []inventory.Analyzer) {
	c := &child{out: os.Stdout, answers: make(chan answer, 1)}
	if err := c.run(analyzers); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitOrphan)
	}
	os.Exit(exitDone)
}

type child struct {
	in   *bufio.Reader
	outM sync.Mutex
	out  io.Writer
	asks sync.Mutex // one question at a time

	job      job
	board    *board
	scratch  *os.File // a socket
	caps     capabilities
	throttle throttle
	answers  chan answer

	keys   map[string]int    // layers by the key of their facts
	values map[string][]byte // what the cache has, until it was taken
	valueM sync.Mutex
}

func (c *child) tell(r report) error {
	c.outM.Lock()
	defer c.outM.Unlock()
	return send(c.out, r)
}

func (c *child) run(analyzers []inventory.Analyzer) error {
	c.in = bufio.NewReader(os.Stdin)
	var o order
	if err := receive(c.in, &o); err != nil || o.Job == nil {
		return errors.New("this command is for plimsoll itself: it reads images for another process")
	}
	c.job = *o.Job
	task := inventory.Task{ImageID: c.job.ImageID, Diffs: c.job.Diffs, Scope: c.job.Scope}
	c.throttle.percent = c.job.CPUPercent
	files, dirs, err := c.inherit()
	if err != nil {
		return err
	}
	held := Restrictions{Held: c.job.Held}
	if c.caps, err = capabilitiesOf(0); err != nil {
		return err
	}
	trusted := false
	for _, p := range c.job.Layers {
		trusted = trusted || p.Trusted
	}
	if calls := restrict(&held, dirs); !calls && !c.job.NoNet {
		held.missing("an empty network namespace, which takes CAP_SYS_ADMIN")
	}
	if err := c.unpack(&task, files); err != nil {
		return err
	}
	if cgo {
		held.missing("fewer capabilities: this program was built with cgo, and cannot give them up")
	} else if err := keep(c.caps.wanted(trusted)); err != nil {
		return err
	} else {
		held.held("capabilities: %s", capabilityNames(c.caps.wanted(false)))
	}
	if err := c.tell(report{Ready: &held}); err != nil {
		return err
	}
	scanner := &inventory.Scanner{Analyzers: analyzers, Workers: c.job.Workers, Monitor: c, Skip: c.job.Skip, Counted: c.counted(task)}
	if c.job.Cached {
		if err := c.receiveFacts(task); err != nil {
			return err
		}
		scanner.Cache = c
	}
	go c.listen()
	inv, err := scanner.Extract(context.Background(), task)
	if stale := (staleError{}); errors.As(err, &stale) {
		return c.tell(report{Stale: &stale.layer})
	}
	if err != nil {
		return c.tell(report{Failed: failureOf(err)})
	}
	packed, err := inventory.Pack(inv)
	if err == nil && len(packed) > maxFrame-1024 {
		err = plimsoll.Errorf(plimsoll.CodeLimit, "read image", "its inventory takes more than %d bytes", maxFrame)
	}
	if err != nil {
		return c.tell(report{Failed: failureOf(err)})
	}
	return c.tell(report{Result: packed})
}

// inherit takes over the descriptors: those of each layer, and which of them are
// directories.
func (c *child) inherit() (files [][]*os.File, dirs []*os.File, err error) {
	f := os.NewFile(boardFD, "board")
	if c.board, err = openBoard(f); err != nil {
		return nil, nil, err
	}
	f.Close()
	c.scratch = os.NewFile(scratchFD, "scratch")
	fd := firstLayerFD
	for _, p := range c.job.Layers {
		own := make([]*os.File, p.Files)
		for i := range own {
			own[i] = os.NewFile(uintptr(fd), "layer")
			fd++
		}
		switch p.Form {
		case "overlay", "plain":
			dirs = append(dirs, own[0])
		case "diff":
			dirs = append(dirs, own...)
		}
		files = append(files, own)
	}
	return files, dirs, nil
}

// unpack makes the layers of their descriptors.
func (c *child) unpack(task *inventory.Task, files [][]*os.File) error {
	for i, p := range c.job.Layers {
		l, err := layerfs.Unpack(p, files[i], layerfs.Sender{
			Metacopied: func(path string) (bool, string, error) { return c.ask(question{i, path}) },
			Scratch:    func() (*os.File, error) { return c.scratchFile(i) },
			Workers:    min(c.job.Workers, 2),
		})
		if err != nil {
			return err
		}
		task.Layers = append(task.Layers, l)
	}
	return nil
}

// receiveFacts takes what the cache has, undecoded.
func (c *child) receiveFacts(task inventory.Task) error {
	c.keys, c.values = make(map[string]int), make(map[string][]byte)
	for i, diff := range task.Diffs {
		if diff == "" {
			continue
		}
		key := task.Key(i)
		if _, again := c.keys[key]; again {
			continue
		}
		c.keys[key] = i
		var o order
		if err := receive(c.in, &o); err != nil || o.Facts == nil || o.Facts.Layer != i {
			return fmt.Errorf("no facts of layer %d: %w", i, err)
		}
		if len(o.Facts.Value) > 0 {
			c.values[key] = o.Facts.Value
		}
	}
	return nil
}

// listen takes answers, and ends the process with its parent.
func (c *child) listen() {
	for {
		var o order
		if err := receive(c.in, &o); err != nil || o.Answer == nil {
			os.Exit(exitOrphan)
		}
		c.answers <- *o.Answer
	}
}

// ask asks the parent whether a file's content is in lower layers.
func (c *child) ask(q question) (bool, string, error) {
	c.asks.Lock()
	defer c.asks.Unlock()
	if err := c.tell(report{Ask: &q}); err != nil {
		return false, "", err
	}
	a := <-c.answers
	if a.Fault != "" {
		return false, "", plimsoll.Errorf(plimsoll.CodeUnreadable, "look for a file's content", "%s", a.Fault)
	}
	return a.Metacopy, a.Redirect, nil
}

// scratchFile asks the parent for a file without name: this process may make none.
func (c *child) scratchFile(layer int) (*os.File, error) {
	c.asks.Lock()
	defer c.asks.Unlock()
	return takeFile(c.scratch, layer)
}

// Get returns what the parent's cache has.
func (c *child) Get(key string) ([]byte, bool) {
	c.valueM.Lock()
	defer c.valueM.Unlock()
	value, ok := c.values[key]
	delete(c.values, key)
	return value, ok
}

// Put hands new facts to the parent's cache. Those that are too large are not kept.
func (c *child) Put(key string, value []byte) error {
	if layer, ok := c.keys[key]; ok && len(value) <= maxFrame-1024 {
		return c.tell(report{Facts: &facts{layer, value}})
	}
	return nil
}

func (c *child) counted(task inventory.Task) func(plimsoll.Digest, bool) {
	layer := make(map[plimsoll.Digest]int)
	for i, diff := range task.Diffs {
		if _, again := layer[diff]; !again {
			layer[diff] = i
		}
	}
	return func(diff plimsoll.Digest, cached bool) {
		c.tell(report{Counted: &counted{layer[diff], cached}})
	}
}

// Listed gives up the right to see marks of directories: from now on this process
// reads what the image's author wrote.
func (c *child) Listed() error {
	if cgo { // which was told
		return nil
	}
	return keep(c.caps.wanted(false))
}

// Start notes on the board what is read.
func (c *child) Start(analyzer, path string) func() {
	c.throttle.wait()
	return c.board.start(analyzer, path)
}

// Stale ends the child: for the layer's directories it is too late.
func (c *child) Stale(diff plimsoll.Digest) error {
	for i, d := range c.job.Diffs {
		if d == diff {
			return staleError{i}
		}
	}
	return staleError{}
}

type staleError struct{ layer int }

func (staleError) Error() string { return "damaged facts in the cache" }
