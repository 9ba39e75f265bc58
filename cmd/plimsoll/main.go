// Command plimsoll scans the container images that are stored on this host.
//
// This package wires: flags, configuration, signals, engines, analysers,
// advisories and writers. It owns no rule about images or vulnerabilities; what
// it decides is which of them the user asked for, where results go and with
// which exit code the process ends. Its input, the command line and the
// configuration, is trusted; everything it passes on from images is not.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"plimsoll/local"
	"plimsoll/sandbox"
)

// Settings of the garbage collector. A scan streams, so little is live: at Go's
// default the heap would grow to several times that. Below a few MiB, though,
// collecting after every half of the heap takes a third of a scan's time. The
// ballast counts as live and so puts that off; never touched, it takes no memory.
const (
	gcPercent = 50
	gcBallast = 16 << 20 // bytes
)

func main() {
	var ballast []byte
	if os.Getenv("GOGC") == "" { // the environment's own settings win
		debug.SetGCPercent(gcPercent)
		ballast = make([]byte, gcBallast)
	}
	if len(os.Args) > 1 && os.Args[1] == sandbox.Command {
		sandbox.Child(local.Analyzers())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends us at once
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	runtime.KeepAlive(ballast)
	os.Exit(code)
}

// run is the program without the process: tests call it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := &app{stdin: stdin, stdout: stdout, stderr: stderr}
	root := app.command()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return app.exit(root.ExecuteContext(ctx))
}
