package web

import (
	"bytes"
	"html/template"
	"math"
	"strconv"
)

// Bars is a small chart without axes: one bar a day, a night, a device. What
// nobody measured is a dashed gap, never a zero; the same numbers stand in a
// table below.
type Bars struct {
	Title    string // the numbers in words: "28 backups, 27 opened, 1 not known on November 12"
	Caption  string // what a bar is: "Records opened from each night's backup"
	From, To string // the two labels below
	Of       string // heading of the table's first column: "Night"
	Unit     string // heading of its second: "Records"
	Bars     []Bar
}

// Bar is one observation.
type Bar struct {
	Name  string // its row in the table
	Value float64
	Gap   bool // nobody measured
}

// Size of the drawing, in its own units.
const (
	chartWide = 222.0
	chartTall = 34.0
	chartBase = 40.0 // where the bars stand
)

// drawn is a bar as the template draws it.
type drawn struct {
	Bar
	X, Y, Wide, Tall, Text string
}

// drawing is what the template gets.
type drawing struct {
	Bars
	Drawn []drawn
}

var charts = template.Must(template.New("chart").ParseFS(pagesFS, "pages/_chart.html"))

func (b Bars) draw() (template.HTML, error) {
	d := drawing{Bars: b}
	most := b.most()
	beside := most // a gap is as tall as the bar before it, so that it reads as missing, not as small
	step := chartWide / float64(max(len(b.Bars), 1))
	for i, bar := range b.Bars {
		if !bar.Gap {
			beside = bar.Value
		}
		d.Drawn = append(d.Drawn, bar.at(float64(i)*step, step, tall(beside, most)))
	}
	var buf bytes.Buffer
	if err := charts.ExecuteTemplate(&buf, "_chart.html", d); err != nil {
		return "", err
	}
	return template.HTML(buf.String()), nil
}

// most is the tallest value that somebody measured.
func (b Bars) most() float64 {
	most := 0.0
	for _, bar := range b.Bars {
		if !bar.Gap {
			most = max(most, bar.Value)
		}
	}
	return most
}

func tall(value, most float64) float64 {
	if most <= 0 {
		return 0
	}
	return chartTall * value / most
}

// at draws the bar in its step of the width.
func (b Bar) at(x, step, tall float64) drawn {
	wide := min(step*2/3, 13)
	if b.Gap { // its dashes are drawn on the edge: keep them inside
		x, wide, tall = x+.5, wide-1, max(tall-1, 4)
	}
	return drawn{Bar: b, X: short(x), Y: short(chartBase - tall), Wide: short(wide), Tall: short(tall), Text: b.text()}
}

func (b Bar) text() string {
	if b.Gap {
		return "Not known"
	}
	return strconv.FormatFloat(b.Value, 'f', -1, 64)
}

// short writes a length with two decimals at most.
func short(f float64) string {
	return strconv.FormatFloat(math.Round(f*100)/100, 'f', -1, 64)
}
