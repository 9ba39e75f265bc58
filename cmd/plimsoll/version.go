package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  plimsoll version --format json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version   string `json:"version"`
				Commit    string `json:"commit,omitempty"`
				Go        string `json:"go"`
				Platform  string `json:"platform"`
				Analyzers string `json:"analyzers"`
			}{version, commit(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, a.scanner().AnalyzerSet()}
			switch format {
			case "text":
				fmt.Fprintf(a.stdout, "plimsoll %s (%s, %s)\n", v.Version, v.Go, v.Platform)
				return nil
			case "json":
				enc := json.NewEncoder(a.stdout)
				enc.SetIndent("", "  ")
				return enc.Encode(v)
			}
			return usagef("--format: %q is neither text nor json", format)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

// commit returns the revision that the binary was built from, if it was told.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
