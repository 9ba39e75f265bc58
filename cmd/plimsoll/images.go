package main

import (
	"io"

	"github.com/spf13/cobra"

	"plimsoll"
	"plimsoll/report"
)

func (a *app) imagesCommand() *cobra.Command {
	format := report.Table
	cmd := &cobra.Command{
		Use:   "images",
		Short: "List the images that are stored on this host",
		Long: `Images lists what Docker, containerd, Podman and CRI-O hold here, each image with
the engine, its size, its containers and, where it cannot be read, the reason.`,
		Example: `  plimsoll images
  plimsoll images -o json
  plimsoll images --docker-root "/srv/docker data"`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := a.openHost(cmd.Context())
			if err != nil {
				return err
			}
			defer h.Close()
			all := h.Images(cmd.Context())
			images := make([]plimsoll.Image, len(all))
			for i, img := range all {
				images[i] = img.Image
			}
			options := a.look(a.stdout)
			err = buffered(a.stdout, func(w io.Writer) error { return report.Images(w, format, images, options) })
			if err != nil {
				return err
			}
			a.noteProblems(h.Problems)
			switch {
			case h.Gaps() > 0:
				return &outcome{exitIncomplete, "what could not be read (see above) may hide images"}
			case len(images) == 0:
				a.note("No image is stored here; %s. plimsoll doctor tells more.", report.Text(h.Looked()))
			}
			return nil
		},
	}
	a.formatFlag(cmd, &format)
	return cmd
}

// formatFlag adds -o for commands that answer on stdout as a table or JSON.
func (a *app) formatFlag(cmd *cobra.Command, format *report.Format) {
	var value string
	cmd.Flags().StringVarP(&value, "output", "o", "table", "table or json")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		switch f := report.Format(value); f {
		case report.Table, report.JSON:
			*format = f
			return nil
		}
		return usagef("-o: %q is neither table nor json", value)
	}
}

// completeImages completes the names of local images.
func (a *app) completeImages(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	if a.configure(cmd) != nil || a.prepare() != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	h, err := a.openHost(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer h.Close()
	var names []string
	for _, img := range h.Images(cmd.Context()) {
		for _, name := range img.Names {
			names = append(names, report.Text(name))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
