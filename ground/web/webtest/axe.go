package webtest

import (
	_ "embed"
	"strings"
)

//go:embed axe.min.js
var axe string

// finding is one rule that a page breaks.
type finding struct {
	ID    string
	Help  string
	Nodes []struct{ HTML, FailureSummary string }
}

// Axe fails the test if axe-core finds anything that keeps people out: WCAG 2.0
// to 2.2 A and AA, and its best practices; or if the page scrolls sideways. It
// looks into closed <details> too.
func (b *Tab) Axe() {
	b.t.Helper()
	if !Eval[bool](b, "typeof axe === 'object'") {
		Eval[any](b, axe+"\n;null") // by the developer tools, which the page's policy does not bind
	}
	Eval[any](b, `window.shut = [...document.querySelectorAll('details:not([open])')]; shut.forEach(d => d.open = true)`)
	found := Eval[[]finding](b, `axe.run(document, {resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then(r =>
		r.violations.map(v => ({ID: v.id, Help: v.help, Nodes: v.nodes.map(n => ({HTML: n.html, FailureSummary: n.failureSummary}))})))`)
	for _, f := range found {
		for _, n := range f.Nodes {
			b.t.Errorf("axe at %s: %s (%s)\n%s\n%s", b.Path(), f.Help, f.ID, n.HTML, strings.TrimSpace(n.FailureSummary))
		}
	}
	if wide := Eval[int](b, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); wide > 0 {
		b.t.Errorf("%s scrolls sideways by %d pixels", b.Path(), wide)
	}
	Eval[any](b, `shut.forEach(d => d.open = false)`)
}

// EveryWay visits a page at phone and desktop width, in light and dark, and
// fails on anything Axe finds or the browser complains about. With a directory
// it leaves four pictures there, named NAME-390-light.png and so on.
func (b *Tab) EveryWay(url, name, pictures string) {
	b.t.Helper()
	for _, way := range []struct {
		px   int
		dark bool
		name string
	}{{390, false, "390-light"}, {390, true, "390-dark"}, {1280, false, "1280-light"}, {1280, true, "1280-dark"}} {
		b.Width(way.px)
		b.Dark(way.dark)
		b.Go(url)
		b.Axe()
		b.Calm()
		if pictures != "" {
			b.Screenshot(pictures + "/" + name + "-" + way.name + ".png")
		}
	}
}
