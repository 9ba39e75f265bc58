package main

import (
	"github.com/spf13/cobra"

	"plimsoll/local"
	"plimsoll/report"
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
				if err := a.useSampleImages("scanning"); err != nil {
					return err
				}
				o.all = false
			}
			// Sample images are known to the sample of advisories; real ones deserve
			// real ones.
			if o.dbPath, err = a.sampleDatabase(cmd.Context(), found > 0); err != nil {
				return err
			}
			err = a.scan(cmd.Context(), nil, o)
			if exitOf(err) == exitIncomplete {
				a.note("plimsoll: %s", report.Text(err.Error())) // told, and no failure of a demonstration
				return nil
			}
			return err
		},
	}
}
