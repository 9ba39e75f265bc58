// Command plot draws the curves of a growth record as SVG:
//
//	plot growth.json growth.svg
//
// It has a module of its own, so that the chart library stays out of plimsoll's. Trust:
// it reads what make growth wrote.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"image/color"
	"log"
	"os"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: plot RECORD PICTURE")
	}
	if err := draw(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func draw(record, picture string) error {
	text, err := os.ReadFile(record)
	if err != nil {
		return err
	}
	var growth struct {
		Curves []struct {
			Name, What string
			Points     []struct{ Size, Seconds float64 }
		}
	}
	if err := json.Unmarshal(text, &growth); err != nil {
		return err
	}
	p := plot.New()
	p.Title.Text = "Time by size; a line as steep as the grey one is linear"
	p.X.Label.Text, p.Y.Label.Text = "how many", "seconds"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.LogTicks{Prec: -1}, plot.LogTicks{Prec: -1}
	p.Legend.Left, p.Legend.Top = true, true
	p.Y.Max = 1000 // room for the legend
	grid := plotter.NewGrid()
	linear, err := plotter.NewLine(plotter.XYs{{X: 10, Y: 0.001}, {X: 1e6, Y: 100}})
	if err != nil {
		return err
	}
	pale := color.Gray{Y: 220}
	grid.Vertical.Color, grid.Horizontal.Color = pale, pale
	linear.Color, linear.Width = pale, vg.Points(3)
	p.Add(grid, linear)
	for i, c := range growth.Curves {
		points := make(plotter.XYs, len(c.Points))
		for j, q := range c.Points {
			points[j].X, points[j].Y = q.Size, q.Seconds
		}
		line, marks, err := plotter.NewLinePoints(points)
		if err != nil {
			return errors.Join(fmt.Errorf("%s: %s", c.Name, c.What), err)
		}
		line.Color, marks.Color, marks.Shape = plotutil.Color(i), plotutil.Color(i), plotutil.Shape(i)
		p.Add(line, marks)
		p.Legend.Add(c.Name+": "+c.What, line, marks)
	}
	p.X.Max *= 2 // room for the last label
	return p.Save(9*vg.Inch, 7*vg.Inch, picture)
}
