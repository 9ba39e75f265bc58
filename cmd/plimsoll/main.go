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
	"runtime/debug"
	"syscall"
)

func main() {
	// A scan streams; without these the garbage collector would let the heap
	// grow to several times what is live. The environment's own settings win.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
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
