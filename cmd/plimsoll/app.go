package main

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"plimsoll"
	"plimsoll/report"
)

// version is set by the linker for a release.
var version = "0.1.0-dev"

// app is what all commands share: streams and the settings of the root command.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	log            *slog.Logger

	configFile string
	cacheDir   string
	dataDir    string
	color      string
	noProgress bool
	quiet      bool
	verbose    bool
	logFormat  string

	host hostOptions
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "plimsoll",
		Short: "Find what is vulnerable in the container images stored on this host",
		Long: `Plimsoll reads the images that Docker, containerd, Podman and CRI-O hold on this
host in place: nothing is exported, copied, mounted or executed. It lists their
software, finds system and application vulnerabilities and says what to do.`,
		Example: `  plimsoll images                           list what is stored here
  plimsoll scan debian:12                   scan one image
  plimsoll scan --all -o html=report.html   scan everything, write a report`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version,
		Args:          knownCommand,
		RunE:          showHelp,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.configure(cmd); err != nil {
				return err
			}
			return a.prepare()
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.SetGlobalNormalizationFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "data" { // short for a flag that up and console are often given
			name = "data-dir"
		}
		return pflag.NormalizedName(name)
	})
	flags := root.PersistentFlags()
	flags.StringVar(&a.configFile, "config", "", "configuration file (default: plimsoll.yaml in the working directory, the user's and the system's configuration directory)")
	flags.StringVar(&a.cacheDir, "cache-dir", defaultDir(os.UserCacheDir, "/var/cache"), "where facts about layers are kept; safe to delete")
	flags.StringVar(&a.dataDir, "data-dir", defaultDir(userDataDir, "/var/lib"), "where advisories are kept, and the state of a console or an agent; --data is the same")
	flags.StringVar(&a.color, "color", "auto", "colour output: auto, always or never")
	flags.BoolVar(&a.noProgress, "no-progress", false, "show no progress")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "print results and errors only")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "log more")
	flags.StringVar(&a.logFormat, "log-format", "text", "format of the log on stderr: text or json")
	a.host.flags(flags)

	root.AddCommand(
		a.scanCommand(), a.sbomCommand(), a.imagesCommand(), a.explainCommand(), a.vexCommand(),
		a.agentCommand(), a.dbCommand(), a.upCommand(), a.consoleCommand(), a.tokenCommand(), a.userCommand(), a.backupCommand(), a.restoreCommand(),
		a.doctorCommand(), a.demoCommand(), a.configCommand(), a.versionCommand(),
	)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() { // cobra's own show some help whatever they are asked
		switch cmd.Name() {
		case "help":
			cmd.Args = func(_ *cobra.Command, args []string) error {
				about, rest, err := root.Find(args)
				if err != nil {
					return usageError{err}
				}
				return knownCommand(about, rest)
			}
		case "completion":
			cmd.Args, cmd.RunE = knownCommand, showHelp
		}
	}
	return root
}

// knownCommand refuses what is no command below cmd, as a mistake of usage.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	cmd.SuggestionsMinimumDistance = 2
	if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
		hint = fmt.Sprintf("; did you mean %q?", similar[0])
	}
	return usagef("unknown command %q%s", args[0], hint)
}

// showHelp is what a command does that only holds others.
func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// prepare applies the settings that every command needs.
func (a *app) prepare() error {
	level := slog.LevelWarn
	switch {
	case a.verbose:
		level = slog.LevelDebug
	case a.quiet:
		level = slog.LevelError
	}
	a.log = a.logger(level)
	switch a.logFormat {
	case "text", "json":
	default:
		return usagef("--log-format: %q is neither text nor json", a.logFormat)
	}
	switch a.color {
	case "auto", "always", "never":
	default:
		return usagef("--color: %q is none of auto, always, never", a.color)
	}
	return nil
}

func (a *app) logger(level slog.Level) *slog.Logger {
	return slog.New(report.NewLog(redactor{a.stderr}, level, a.logFormat == "json"))
}

// colored says whether w gets colours: by flag, then NO_COLOR, FORCE_COLOR and
// CLICOLOR_FORCE, then whether it is a terminal that can show them.
func (a *app) colored(w io.Writer) bool {
	switch a.color {
	case "always":
		return true
	case "never":
		return false
	}
	if os.Getenv("NO_COLOR") != "" {
		return false
	}
	if os.Getenv("FORCE_COLOR") != "" || os.Getenv("CLICOLOR_FORCE") != "" {
		return true
	}
	return os.Getenv("TERM") != "dumb" && isTerminal(w)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// look returns how a result should look on w.
func (a *app) look(w io.Writer) report.Options {
	o := report.Options{Color: a.colored(w)}
	if f, ok := w.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil {
			o.Width = columns
			o.ASCII = !utf8Locale()
		}
	}
	return o
}

// utf8Locale says whether the terminal's locale can show more than ASCII, by the
// variables of locale(7) in their order.
func utf8Locale() bool {
	locale := cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG"))
	locale = strings.ToLower(strings.ReplaceAll(locale, "-", ""))
	return strings.Contains(locale, "utf8")
}

// note tells the user something beside the results.
func (a *app) note(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(redactor{a.stderr}, format+"\n", args...)
	}
}

// noteProblems tells what could not be read of the stores, so that a short list
// of images is not taken for all there is.
func (a *app) noteProblems(problems []plimsoll.Problem) {
	for _, p := range problems {
		a.note("%s", report.Text(problemText(p)))
	}
}

func problemText(p plimsoll.Problem) string {
	text := string(p.Code) + ": " + p.Detail
	if p.Path != "" {
		text = p.Path + ": " + text
	}
	return text
}

// defaultDir is the program's directory below the user's own, or below system
// for root, whose home often is not where services keep things.
func defaultDir(user func() (string, error), system string) string {
	if os.Geteuid() == 0 {
		return filepath.Join(system, "plimsoll")
	}
	dir, err := user()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "plimsoll")
}

// userDataDir follows the XDG base directory specification.
func userDataDir() (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "share"), err
}

func envName(flag string) string {
	return "PLIMSOLL_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}
