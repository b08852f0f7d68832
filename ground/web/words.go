package web

import (
	"fmt"
	"html/template"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// State is what a status badge shows: the word people read, and the data-is
// attribute that gives it shape and colour. layer.State is one.
type State interface {
	String() string
	Is() string
}

// words are the functions that every page knows:
//
//	{{status .State}}              the badge: shape and word
//	{{result .State "Closed"}}     the badge's shape with a row's own result word
//	{{icon "lock"}}                a symbol of icons.svg
//	{{door .State}}                a door in the plan: closed, ajar, open, or dashed for what nobody proved
//	{{age .Seen}}                  "3 days ago"
//	{{day .On}} {{moment .At}}     "Nov 18", "Nov 18, 6:10 am"; the browser shows its own time
//	{{number 1284}}                "1,284"
//	{{plural 2 "patient" "patients"}}  "2 patients"
//	{{minutes 90}}                 "1 hour 30 minutes"
//	{{chart .Bars}}                a small bars chart, see Bars
func (p *Pages) words() template.FuncMap {
	return template.FuncMap{
		"status":  func(s State) template.HTML { return badge(s.Is(), s.String()) },
		"result":  func(s State, word string) template.HTML { return badge(s.Is(), word) },
		"icon":    iconNamed,
		"door":    func(s State) template.HTML { return doors[doorOf(s.Is())] },
		"age":     func(t time.Time) template.HTML { return p.age(t) },
		"day":     func(t time.Time) template.HTML { return p.day(t) },
		"moment":  func(t time.Time) template.HTML { return p.moment(t) },
		"number":  number,
		"plural":  plural,
		"minutes": Minutes,
		"chart":   func(b Bars) (template.HTML, error) { return b.draw() },
	}
}

var (
	iconsPath = hashed(iconsFile, own(iconsFile))
	icons     = allIcons()
	doors     = allDoors()
)

// allIcons holds the markup of every symbol, made once.
func allIcons() map[string]template.HTML {
	all := map[string]template.HTML{}
	for _, m := range regexp.MustCompile(`<symbol[^>]* id="([a-z-]+)"`).FindAllSubmatch(own(iconsFile), -1) {
		name := string(m[1])
		all[name] = template.HTML(`<svg class="i" aria-hidden="true"><use href="` + iconsPath + `#` + name + `"/></svg>`)
	}
	return all
}

func allDoors() map[string]template.HTML {
	all := map[string]template.HTML{}
	for _, name := range []string{"door-closed", "door-ajar", "door-open", "door-unknown"} {
		all[name] = template.HTML(`<svg class="door" aria-hidden="true"><use href="` + iconsPath + `#` + name + `"/></svg>`)
	}
	return all
}

func iconNamed(name string) (template.HTML, error) {
	if html, ok := icons[name]; ok {
		return html, nil
	}
	return "", fmt.Errorf("no icon %s", name)
}

// doorOf draws only what was proven as a closed door.
func doorOf(is string) string {
	switch is {
	case "safe":
		return "door-closed"
	case "needs":
		return "door-ajar"
	case "urgent":
		return "door-open"
	}
	return "door-unknown"
}

func badge(is, word string) template.HTML {
	html, ok := icons[is]
	if !ok {
		is, html = "unknown", icons["unknown"]
	}
	return template.HTML(`<b class="status" data-is="`+is+`">`) + html + template.HTML(template.HTMLEscapeString(word)+`</b>`)
}

// age says how long ago something was, in the largest unit that is still true.
func (p *Pages) age(t time.Time) template.HTML {
	if t.IsZero() {
		return "never"
	}
	return timeTag(t, "age", Age(p.Now(), t))
}

// Age says in words how long before now t was: "3 days ago".
func Age(now, t time.Time) string {
	d := now.Sub(t)
	if d < 0 {
		return "in " + span(-d)
	}
	if d < time.Minute {
		return "just now"
	}
	return span(d) + " ago"
}

func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return "less than a minute"
	case d < time.Hour:
		return plural(int(d/time.Minute), "minute", "minutes")
	case d < 2*day:
		return plural(int(d/time.Hour), "hour", "hours")
	case d < 60*day:
		return plural(int(d/day), "day", "days")
	case d < 730*day:
		return plural(int(d/(30*day)), "month", "months")
	}
	return plural(int(d/(365*day)), "year", "years")
}

func (p *Pages) day(t time.Time) template.HTML {
	if t.IsZero() {
		return "never"
	}
	now := p.Now()
	t = t.In(now.Location())
	layout := "Jan 2"
	if t.Year() != now.Year() {
		layout = "Jan 2, 2006"
	}
	return timeTag(t, "day", t.Format(layout))
}

func (p *Pages) moment(t time.Time) template.HTML {
	if t.IsZero() {
		return "never"
	}
	now := p.Now()
	t = t.In(now.Location())
	clock := t.Format("3:04\u00a0pm")
	if t.Year() == now.Year() && t.YearDay() == now.YearDay() {
		return timeTag(t, "moment", "today "+clock)
	}
	layout := "Jan 2, "
	if t.Year() != now.Year() {
		layout = "Jan 2, 2006, "
	}
	return timeTag(t, "moment", t.Format(layout)+clock)
}

// timeTag keeps the exact time, so that the browser can show its own.
func timeTag(t time.Time, kind, text string) template.HTML {
	return template.HTML(`<time datetime="` + t.UTC().Format(time.RFC3339) + `" data-time="` + kind + `">` + text + `</time>`)
}

// number groups digits by threes.
func number(v any) (string, error) {
	n, err := whole(v)
	if err != nil {
		return "", err
	}
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits, nil
}

func whole(v any) (int64, error) {
	switch n := v.(type) {
	case int:
		return int64(n), nil
	case int64:
		return n, nil
	case uint64:
		return int64(min(n, math.MaxInt64)), nil
	}
	return 0, fmt.Errorf("a %T is not a number to show", v)
}

func plural(n int, one, many string) string {
	s, _ := number(n) // an int always is a number
	if n == 1 {
		return s + " " + one
	}
	return s + " " + many
}

// Minutes says how long something takes.
func Minutes(n int) string {
	if n < 60 {
		return plural(n, "minute", "minutes")
	}
	return strings.TrimSuffix(plural(n/60, "hour", "hours")+" "+plural(n%60, "minute", "minutes"), " 0 minutes")
}
