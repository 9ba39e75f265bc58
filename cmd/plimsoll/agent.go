package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"plimsoll"
	"plimsoll/agent"
	"plimsoll/api"
	"plimsoll/engine"
	"plimsoll/inventory"
	"plimsoll/local"
	"plimsoll/report"
	"plimsoll/sandbox"
)

func (a *app) agentCommand() *cobra.Command {
	var stateDir string
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Tell a console about the images of this host and read them when it asks",
		Long: `Agent runs on a host of the fleet. It tells its console which images are stored
here and within seconds when that changes, reads images in place when the console
asks, and delivers what it read. It never listens on anything, needs no advisory
database, and writes to its state directory only.

Join first: plimsoll agent join. The agent ends with exit code 6 when the console
does not accept this host any more; what was not yet delivered is kept.`,
		Example: `  plimsoll agent join https://console.example:8443 --token-file token
  plimsoll agent`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.agentConfig(stateDir)
			if err != nil {
				return err
			}
			return agent.Run(cmd.Context(), c)
		},
	}
	stateDirFlag(cmd.PersistentFlags(), &stateDir)
	cmd.AddCommand(a.joinCommand(&stateDir))
	return cmd
}

// agentDir is the agent's state directory in the data directory.
const agentDir = "agent"

func stateDirFlag(flags *pflag.FlagSet, dir *string) {
	flags.StringVar(dir, "state-dir", "", "where the agent keeps its identity and what is not yet delivered (default: "+agentDir+" in the data directory)")
}

// maxToken bounds what is read as a join token, in bytes.
const maxToken = 4096

func (a *app) joinCommand(stateDir *string) *cobra.Command {
	var token, tokenFile string
	cmd := &cobra.Command{
		Use:   "join CONSOLE",
		Short: "Make this host one of a console's fleet",
		Long: `Join gives this host an identity at the console, an address of the form
https://HOST:PORT. The join token is made on the console; it is given with --token
or PLIMSOLL_TOKEN, in a file with --token-file, or on the standard input. Every
user of the host can see a command line: for a token with many uses prefer the
others. The token names the console's key: no other console is accepted.`,
		Example: `  plimsoll agent join https://console.example:8443 --token plim1.…
  plimsoll agent join https://console.example:8443 --token-file token`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("name the console: plimsoll agent join https://HOST:PORT")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			token, err := a.joinToken(token, tokenFile)
			if err != nil {
				return err
			}
			c, err := a.agentConfig(*stateDir)
			if err != nil {
				return err
			}
			id, err := agent.Join(cmd.Context(), c, args[0], token)
			if err != nil {
				return err
			}
			a.note("This host has joined %s as host %d. Start the agent: plimsoll agent", report.Text(args[0]), id)
			return nil
		},
	}
	cmd.Flags().StringVar(&token, "token", "", "the join token")
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "file with the join token")
	return cmd
}

// joinToken reads the join token from wherever it was given.
func (a *app) joinToken(token, file string) (string, error) {
	switch {
	case token != "" && file != "":
		return "", usagef("give --token or --token-file, not both")
	case token != "":
		return token, nil
	}
	in := a.stdin
	if file != "" {
		f, err := openNamed("read join token", file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	var b strings.Builder
	if _, err := io.Copy(&b, io.LimitReader(in, maxToken)); err != nil {
		return "", plimsoll.Errorf(plimsoll.CodeUnreadable, "read join token", "%w", err)
	}
	token = strings.TrimSpace(b.String())
	switch {
	case token == "" && file != "":
		return "", usagef("%s holds no join token", file)
	case token == "":
		return "", usagef("no join token: give --token, --token-file, PLIMSOLL_TOKEN or the standard input; plimsoll token create makes one on the console's host")
	}
	return token, nil
}

// agentConfig wires the agent to the stores of this machine.
func (a *app) agentConfig(stateDir string) (agent.Config, error) {
	places, err := a.places()
	if err != nil {
		return agent.Config{}, err
	}
	stateDir = cmp.Or(stateDir, filepath.Join(a.dataDir, agentDir))
	cache := &local.Cache{Dir: filepath.Join(stateDir, "cache"), Fail: func(err error) { a.log.Warn("scans will be slower", "error", err) }}
	places.Scratch = cache.Dir
	log := a.log
	if !a.quiet && !a.verbose { // a service tells what it does
		log = a.logger(slog.LevelInfo)
	}
	isolated := (&sandbox.Sandbox{Log: log}).Read
	return agent.Config{
		StateDir: stateDir,
		Stores:   &machine{places: places},
		NewScanner: func(c inventory.Cache) *inventory.Scanner {
			scanner := local.NewScanner(c, cache.Fault)
			scanner.Isolated = isolated
			return scanner
		},
		Cache:   cache,
		Version: version,
		Log:     log,
	}, nil
}

// machine is the stores of this machine as the agent wants them. The stores of
// the last list stay open, for images are read from them.
type machine struct {
	places local.Options

	mu   sync.Mutex
	last *listed
}

// listed is one list of images with its stores open.
type listed struct {
	host  *local.Host
	best  map[plimsoll.Digest]local.Image
	users int // guarded by machine.mu
}

var _ agent.Stores = (*machine)(nil)

func (m *machine) List(ctx context.Context) (agent.Listing, error) {
	host, err := local.Open(ctx, m.places)
	if err != nil {
		return agent.Listing{}, err
	}
	all := host.Images(ctx)
	if err := ctx.Err(); err != nil { // a list that was cut short says nothing
		host.Close()
		return agent.Listing{}, err
	}
	l := agent.Listing{Problems: host.Problems}
	for _, s := range host.Stores {
		n := 0
		for _, img := range all {
			if img.In(s) {
				n++
			}
		}
		l.Stores = append(l.Stores, api.Store{Name: s.Name(), Images: n})
	}
	for _, img := range all {
		l.Images = append(l.Images, agent.Held{Image: img.Image, Private: img.Owner() != 0})
	}
	next := &listed{host: host, best: make(map[plimsoll.Digest]local.Image), users: 1}
	for _, img := range local.Merged(all) {
		next.best[img.ID] = img
	}
	m.mu.Lock()
	old := m.last
	m.last = next
	m.mu.Unlock()
	m.release(old)
	return l, nil
}

// hold returns the last list, whose stores stay open until it is released.
func (m *machine) hold() *listed {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last != nil {
		m.last.users++
	}
	return m.last
}

func (m *machine) release(l *listed) {
	if l == nil {
		return
	}
	m.mu.Lock()
	l.users--
	unused := l.users == 0
	m.mu.Unlock()
	if unused {
		l.host.Close()
	}
}

func (m *machine) Read(ctx context.Context, id plimsoll.Digest, timeout time.Duration, scanner func(private bool) *inventory.Scanner) (plimsoll.Result, bool) {
	for again := false; ; again = true {
		l := m.hold()
		if l != nil {
			if img, here := l.best[id]; here {
				defer m.release(l)
				private := img.Owner() != 0
				return local.Read(ctx, scanner(private), img, timeout), private
			}
			m.release(l)
		}
		if again {
			break
		}
		if _, err := m.List(ctx); err != nil { // it may have come since
			problem := engine.ProblemOf(err)
			return plimsoll.Result{Status: plimsoll.ScanFailed, Problem: &problem}, false
		}
	}
	return plimsoll.Result{Status: plimsoll.ScanFailed, Problem: &plimsoll.Problem{
		Code: plimsoll.ProblemImageGone, Detail: fmt.Sprintf("No store of this host holds image %s any more.", id.Short()),
	}}, false
}

func (m *machine) Watch(ctx context.Context, changed func()) error {
	return local.Watch(ctx, m.places, changed)
}
