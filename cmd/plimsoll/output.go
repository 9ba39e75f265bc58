package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"plimsoll"
	"plimsoll/report"
)

// output is one -o: a format, to a file or to stdout.
type output struct {
	format report.Format
	file   string // empty: stdout
}

// outputs is the value of the repeatable flag -o. It satisfies pflag.Value.
type outputs []output

// Set adds FORMAT or FORMAT=FILE.
func (o *outputs) Set(value string) error {
	name, file, toFile := strings.Cut(value, "=")
	format, err := report.ParseFormat(name)
	if err != nil {
		return err
	}
	if toFile && file == "" {
		return fmt.Errorf("%q names no file", value)
	}
	if !toFile {
		for _, other := range *o {
			if other.file == "" {
				return fmt.Errorf("only one format can go to stdout; write %q as %s=FILE", name, name)
			}
		}
	}
	for _, other := range *o {
		if toFile && other.file == file {
			return fmt.Errorf("%s is written twice", file)
		}
	}
	*o = append(*o, output{format, file})
	return nil
}

func (o *outputs) String() string {
	parts := make([]string, len(*o))
	for i, out := range *o {
		parts[i] = string(out.format)
		if out.file != "" {
			parts[i] += "=" + out.file
		}
	}
	return strings.Join(parts, ",")
}

// Type names the value in the help.
func (o *outputs) Type() string { return "stringArray" }

func formatNames() string {
	formats := report.Formats()
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = string(f)
	}
	return strings.Join(names, ", ")
}

// check refuses files in directories that do not exist.
func (o outputs) check() error {
	for _, out := range o {
		if out.file == "" {
			continue
		}
		if dir := filepath.Dir(out.file); !isDir(dir) {
			return usagef("-o %s=%s: %s is not a directory", out.format, out.file, dir)
		}
		if isDir(out.file) {
			return usagef("-o %s=%s: it is a directory", out.format, out.file)
		}
	}
	return nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// write gives r to every output; without -o, as a table on stdout. One that
// fails keeps no other from being written.
func (a *app) write(r plimsoll.Report, o scanOptions) error {
	outs := o.outputs
	if len(outs) == 0 {
		outs = outputs{{format: report.Table}}
	}
	var faults []error
	for _, out := range outs {
		options := report.Options{Packages: o.packages}
		if out.file == "" {
			options = a.look(a.stdout)
			options.Packages = o.packages
			if err := buffered(a.stdout, func(w io.Writer) error { return report.Write(w, out.format, r, options) }); err != nil {
				faults = append(faults, plimsoll.Errorf(plimsoll.CodeUnavailable, "write "+string(out.format)+" to stdout", "%w", err))
			}
			continue
		}
		err := replaceFile(out.file, 0o644, func(w io.Writer) error { return report.Write(w, out.format, r, options) })
		if err != nil {
			faults = append(faults, plimsoll.Errorf(plimsoll.CodeUnavailable, "write "+string(out.format), "%w", err))
		}
	}
	return errors.Join(faults...)
}

func buffered(w io.Writer, write func(io.Writer) error) error {
	b := bufio.NewWriterSize(w, 64<<10)
	if err := write(b); err != nil {
		return err
	}
	return b.Flush()
}

// replaceFile writes path so that it holds the whole result or what it held
// before. Something that is no regular file, such as /dev/null, is written to.
func replaceFile(path string, mode os.FileMode, write func(io.Writer) error) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		return buffered(f, write)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return fmt.Errorf("write %s: %w", path, e.Err) // not a name that nobody gave
	}
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails harmlessly after the rename
	err = buffered(tmp, write)
	if err == nil {
		err = tmp.Chmod(mode)
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
