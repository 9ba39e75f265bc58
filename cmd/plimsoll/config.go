package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"plimsoll/report"
)

// maxConfig bounds the configuration file, in bytes.
const maxConfig = 1 << 20

// configure gives each flag that was not set on the command line its value from
// the environment (PLIMSOLL_…), else from the configuration file. The keys of
// both are the flags' names.
func (a *app) configure(cmd *cobra.Command) error {
	settings, file, err := a.readConfig(cmd)
	if err != nil {
		return err
	}
	var fault error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if fault != nil || f.Changed || f.Name == "help" || f.Name == "version" {
			return
		}
		origin, values := "", []string(nil)
		if value, ok := os.LookupEnv(envName(f.Name)); ok && value != "" {
			origin, values = envName(f.Name), splitList(f, value)
		} else if value, ok := settings[f.Name]; ok {
			origin, values = file, value
		}
		for _, value := range values {
			if err := cmd.Flags().Set(f.Name, value); err != nil {
				fault = usagef("%s: %s: %w", origin, f.Name, err)
			}
		}
		if origin != "" && fault == nil {
			if f.Annotations == nil {
				f.Annotations = make(map[string][]string)
			}
			f.Annotations[originAnnotation] = []string{origin}
		}
	})
	return fault
}

const originAnnotation = "plimsoll-origin"

// splitList splits the value of an environment variable for a flag that may be
// repeated.
func splitList(f *pflag.Flag, value string) []string {
	if strings.HasSuffix(f.Value.Type(), "Array") {
		return strings.Split(value, ",")
	}
	return []string{value}
}

// readConfig returns the settings of the configuration file by flag name.
func (a *app) readConfig(cmd *cobra.Command) (map[string][]string, string, error) {
	path := cmp.Or(a.configFile, os.Getenv(envName("config")))
	explicit := path != ""
	if !explicit {
		for _, dir := range configDirs() {
			candidate := filepath.Join(dir, "plimsoll.yaml")
			if _, err := os.Stat(candidate); err == nil {
				path = candidate
				break
			}
		}
		if path == "" {
			return nil, "", nil
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, path, usagef("read configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	switch {
	case err != nil:
		return nil, path, usagef("read configuration: %w", err)
	case len(text) > maxConfig:
		return nil, path, usagef("read configuration %s: it is larger than 1 MiB", path)
	}
	var raw map[string]any
	if err := yaml.UnmarshalWithOptions(text, &raw, yaml.Strict()); err != nil {
		what, _, _ := strings.Cut(err.Error(), "\n") // an excerpt of the file follows
		return nil, path, usagef("read configuration %s: %s", path, what)
	}
	known := flagNames(cmd.Root())
	settings := make(map[string][]string, len(raw))
	for key, value := range raw {
		if !slices.Contains(known, key) {
			return nil, path, usagef("read configuration %s: unknown key %q%s", path, key, suggestion(key, known))
		}
		switch v := value.(type) {
		case []any:
			for _, item := range v {
				settings[key] = append(settings[key], fmt.Sprint(item))
			}
		case map[string]any:
			return nil, path, usagef("read configuration %s: %s: want a value or a list", path, key)
		case nil: // a key without a value sets nothing
		default:
			settings[key] = []string{fmt.Sprint(v)}
		}
	}
	return settings, path, nil
}

// configDirs lists where plimsoll.yaml is looked for, first match wins.
func configDirs() []string {
	dirs := []string{"."}
	if dir, err := os.UserConfigDir(); err == nil {
		dirs = append(dirs, filepath.Join(dir, "plimsoll"))
	}
	return append(dirs, "/etc/plimsoll")
}

// flagNames returns the names of all flags of all commands, sorted.
func flagNames(root *cobra.Command) []string {
	var names []string
	add := func(f *pflag.Flag) { names = append(names, f.Name) }
	for _, c := range commands(root) {
		c.PersistentFlags().VisitAll(add)
		c.Flags().VisitAll(add)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// commands returns c and all commands below it.
func commands(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		all = append(all, commands(sub)...)
	}
	return all
}

// suggestion names the known key that shares the longest beginning with key.
func suggestion(key string, known []string) string {
	best, length := "", 2
	for _, k := range known {
		n := 0
		for n < len(k) && n < len(key) && k[n] == key[n] {
			n++
		}
		if n > length {
			best, length = k, n
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

func (a *app) configCommand() *cobra.Command {
	var origin bool
	config := &cobra.Command{Use: "config", Short: "Show the configuration", Args: knownCommand, RunE: showHelp}
	show := &cobra.Command{
		Use:     "show",
		Short:   "Print every setting with its value",
		Example: "  plimsoll config show --origin",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			global := cmd.Root().PersistentFlags()
			a.showSettings(global, origin)
			for _, c := range commands(cmd.Root()) {
				own := c.LocalNonPersistentFlags()
				if c == cmd || c.Hidden || !own.HasAvailableFlags() {
					continue
				}
				if err := a.configure(c); err != nil {
					return err
				}
				fmt.Fprintf(a.stdout, "\n# %s\n", c.CommandPath())
				a.showSettings(own, origin)
			}
			return nil
		},
	}
	show.Flags().BoolVar(&origin, "origin", false, "tell where each value comes from")
	config.AddCommand(show)
	return config
}

// showSettings prints flags as settings, hidden spellings only where one is used.
func (a *app) showSettings(flags *pflag.FlagSet, origin bool) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" || f.Name == "version" || f.Hidden && !f.Changed {
			return
		}
		from := "default"
		if o := f.Annotations[originAnnotation]; len(o) > 0 {
			from = o[0]
		} else if f.Changed {
			from = "command line"
		}
		line := f.Name + ": " + report.Text(withoutPasswords(f.Value.String()))
		if origin {
			line += "  # " + from
		}
		fmt.Fprintln(a.stdout, line)
	})
}

// noArgs refuses arguments as a mistake of usage.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("unexpected argument %q", args[0])
	}
	return nil
}
