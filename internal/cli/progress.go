package cli

import (
	"fmt"
	"io"

	"github.com/schollz/progressbar/v3"
)

// lines shows progress in a log: a line whenever something has changed.
type lines struct {
	a    *app
	last string
}

func (l *lines) show(v view) {
	line := v.state
	if p := v.progress(); p != "" {
		line += " " + p
	}
	if v.message != "" {
		line += " " + v.message
	}
	if line != l.last {
		l.last = line
		l.a.talk("operation %q %s", v.name, line)
	}
}

func (l *lines) say(format string, args ...any) { l.a.talk(format, args...) }

func (l *lines) end() {}

// bar shows progress on a terminal: a bar when the operation says how much there is
// to do, a spinner when not.
type bar struct {
	w     io.Writer
	p     *progressbar.ProgressBar
	total int64 // of p
}

func newBar(w io.Writer) *bar { return &bar{w: w, total: -1} }

func (b *bar) show(v view) {
	total := v.total
	if total <= 0 {
		total = -1
	}
	if b.p == nil || total != b.total {
		b.end()
		b.total = total
		b.p = b.blank()
	}
	b.p.Describe(fmt.Sprintf("%s %.40s", v.state, v.message))
	if total > 0 {
		_ = b.p.Set64(min(v.done, total-1)) // a full bar is taken away; the operation has not ended
	} else {
		_ = b.p.Add(1)
	}
}

// blank returns a bar for the total, which is negative for a spinner.
func (b *bar) blank() *progressbar.ProgressBar {
	p := progressbar.NewOptions64(b.total,
		progressbar.OptionSetWriter(b.w),
		progressbar.OptionSetWidth(30),
		progressbar.OptionSetElapsedTime(true),
		progressbar.OptionSetPredictTime(b.total > 0),
		progressbar.OptionSetSpinnerChangeInterval(0), // draw when told, and not from a goroutine of its own
		progressbar.OptionClearOnFinish(),
		progressbar.OptionUseANSICodes(true))
	p.StartWithoutRender() // the time counts from now, and not from when it is first drawn
	return p
}

func (b *bar) say(format string, args ...any) {
	b.end()
	fmt.Fprintf(b.w, "longrun: %s\n", printable(fmt.Sprintf(format, args...)))
}

// end takes the bar away.
func (b *bar) end() {
	if b.p != nil {
		_ = b.p.Clear() // what cannot be drawn on a terminal need not be wiped off it
		b.p = nil
	}
}
