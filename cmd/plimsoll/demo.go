package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"plimsoll/local"
	"plimsoll/sample"
)

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Scan the images of this host, or sample images when it holds none",
		Long: `Demo is the shortest way to see Plimsoll at work: it scans every image that is
stored here. Where no engine holds one, it makes three sample images itself;
where the advisory database was never fetched and cannot be, it uses a small
dated sample of advisories. It says which of the two it did.`,
		Example: "  plimsoll demo",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := a.openHost(cmd.Context())
			if err != nil {
				return err
			}
			found := len(h.Images(cmd.Context()))
			h.Close()
			if found == 0 {
				a.noteProblems(h.Problems)
			}
			o := scanOptions{all: true, timeout: local.DefaultTimeout}
			if found == 0 {
				dir := filepath.Join(a.cacheDir, "sample-images")
				if err := os.RemoveAll(dir); err != nil {
					return err
				}
				if err := sample.Write(dir); err != nil {
					return err
				}
				a.note("No container engine on this host holds an image that can be read: scanning SAMPLE IMAGES made by Plimsoll.\n")
				a.host.Inputs, o.all = []string{dir}, false
			}
			// Sample images are known to the sample of advisories; real ones deserve
			// real ones.
			if o.dbPath, err = a.sampleDatabase(cmd.Context(), found > 0); err != nil {
				return err
			}
			err = a.scan(cmd.Context(), nil, o)
			if exitOf(err) == exitIncomplete {
				a.note("plimsoll: %s", err) // told, and no failure of a demonstration
				return nil
			}
			return err
		},
	}
}
