package evidence

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"strconv"
	"time"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// The picture's size in pixels.
const (
	chartWidth  = 640
	chartHeight = 200
	marginLeft  = 12
	marginRight = 64 // room for the scale
	marginTop   = 14
	marginFoot  = 24 // room for the times
	lineWidth   = 2
)

var (
	background = color.RGBA{0xff, 0xff, 0xff, 0xff}
	gridColor  = color.RGBA{0xe4, 0xe7, 0xeb, 0xff}
	textColor  = color.RGBA{0x5c, 0x66, 0x70, 0xff}
	limitColor = color.RGBA{0xe0, 0x31, 0x31, 0xff}
	lineColors = []color.RGBA{{0x1c, 0x7e, 0xd6, 0xff}, {0xad, 0xb5, 0xbd, 0xff}, {0xce, 0xd4, 0xda, 0xff}, {0xdb, 0xe0, 0xe5, 0xff}, {0xe3, 0xe7, 0xeb, 0xff}}
)

// PNG draws the series and the threshold. It returns nil where there is nothing to
// draw. The picture depends on nothing but the evidence.
func (e *Evidence) PNG() []byte {
	if !e.Drawable() {
		return nil
	}
	c := canvas{img: image.NewRGBA(image.Rect(0, 0, chartWidth, chartHeight)), from: e.From.UnixMilli(), to: e.To.UnixMilli()}
	if !c.fit(e) {
		return nil
	}
	draw.Draw(c.img, c.img.Bounds(), image.NewUniform(background), image.Point{}, draw.Src)
	c.grid()
	if limit, ok := e.limit(); ok {
		c.limit(limit)
	}
	for i := len(e.Series) - 1; i >= 0; i-- { // the alert's own last, on top
		c.series(e.Series[i].Points, lineColors[min(i, len(lineColors)-1)])
	}
	var b bytes.Buffer
	if err := png.Encode(&b, c.img); err != nil {
		return nil
	}
	return b.Bytes()
}

// canvas maps times and values to pixels.
type canvas struct {
	img      *image.RGBA
	from, to int64
	low, top float64
}

// fit sets the scale; false where there is nothing to draw.
func (c *canvas) fit(e *Evidence) bool {
	c.low, c.top = math.Inf(1), math.Inf(-1)
	add := func(v float64) { c.low, c.top = min(c.low, v), max(c.top, v) }
	for _, s := range e.Series {
		for _, p := range s.Points {
			add(p.V)
		}
	}
	if c.to <= c.from {
		return false
	}
	if limit, ok := e.limit(); ok {
		add(limit)
	}
	if c.low > 0 && c.low < c.top/2 {
		c.low = 0
	}
	if c.top-c.low < 1e-12 {
		c.low, c.top = c.low-1, c.top+1
	}
	c.top += (c.top - c.low) * 0.05
	return true
}

func (c *canvas) x(t int64) float32 {
	return marginLeft + float32(t-c.from)/float32(c.to-c.from)*(chartWidth-marginLeft-marginRight)
}

func (c *canvas) y(v float64) float32 {
	return marginTop + float32((c.top-v)/(c.top-c.low))*(chartHeight-marginTop-marginFoot)
}

func (c *canvas) grid() {
	const lines = 4
	for i := range lines + 1 {
		v := c.low + (c.top-c.low)*float64(i)/lines
		y := int(c.y(v))
		c.fill(image.Rect(marginLeft, y, chartWidth-marginRight, y+1), gridColor)
		c.text(chartWidth-marginRight+6, y+4, Number(v), textColor)
	}
	for _, t := range []int64{c.from, (c.from + c.to) / 2, c.to} {
		label := time.UnixMilli(t).UTC().Format("15:04")
		if t == c.to {
			label += " UTC"
		}
		x := int(c.x(t)) - 7*len(label)/2
		c.text(min(max(x, marginLeft), chartWidth-7*len(label)-4), chartHeight-8, label, textColor)
	}
}

func (c *canvas) limit(v float64) {
	y := int(c.y(v))
	for x := marginLeft; x < chartWidth-marginRight; x += 8 {
		c.fill(image.Rect(x, y, min(x+4, chartWidth-marginRight), y+1), limitColor)
	}
	c.text(marginLeft+4, y-3, Number(v), limitColor)
}

// series draws a line through the points, broken where some are missing.
func (c *canvas) series(points []Point, col color.RGBA) {
	var r vector.Rasterizer
	r.Reset(chartWidth, chartHeight)
	for i := 1; i < len(points); i++ {
		a, b := points[i-1], points[i]
		if b.T-a.T <= 3*chartStep.Milliseconds() {
			stroke(&r, c.x(a.T), c.y(a.V), c.x(b.T), c.y(b.V))
		}
	}
	r.Draw(c.img, c.img.Bounds(), image.NewUniform(col), image.Point{})
}

// stroke adds the rectangle of a straight line.
func stroke(r *vector.Rasterizer, x0, y0, x1, y1 float32) {
	dx, dy := float64(x1-x0), float64(y1-y0)
	length := math.Hypot(dx, dy)
	if length == 0 {
		return
	}
	nx, ny := float32(-dy/length*lineWidth/2), float32(dx/length*lineWidth/2)
	r.MoveTo(x0+nx, y0+ny)
	r.LineTo(x1+nx, y1+ny)
	r.LineTo(x1-nx, y1-ny)
	r.LineTo(x0-nx, y0-ny)
	r.ClosePath()
}

func (c *canvas) fill(r image.Rectangle, col color.RGBA) {
	draw.Draw(c.img, r, image.NewUniform(col), image.Point{}, draw.Src)
}

func (c *canvas) text(x, y int, text string, col color.RGBA) {
	d := font.Drawer{Dst: c.img, Src: image.NewUniform(col), Face: basicfont.Face7x13, Dot: fixed.P(x, y)}
	d.DrawString(text)
}

// Number writes a value the way people read it.
func Number(v float64) string {
	for _, unit := range []struct {
		from float64
		name string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e4, "k"}} {
		if math.Abs(v) >= unit.from {
			scale := unit.from
			if unit.name == "k" {
				scale = 1e3
			}
			return strconv.FormatFloat(v/scale, 'g', 3, 64) + unit.name
		}
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
