package trackers

import (
	"context"
	"errors"
	"fmt"

	"quietroom/layer"
	"quietroom/rooms/trackers/chrome"
	"quietroom/rooms/trackers/plant"
)

// Scratch gives an empty directory for a browser's profile, into which another
// user of this machine can get, and takes it away.
type Scratch func() (dir string, done func(), err error)

// Drill scans a made-up practice's site in which leaks are planted, and its twin
// without them: all leaks have to be found, and in the twin none. Weakened, the
// scan sees only what is sent as it was typed.
func Drill(scratch Scratch) layer.Drill {
	return layer.Drill{Name: "trackers", Proves: "all planted leaks of a web site are found, and none where there is none", Run: func(ctx context.Context, stage *layer.Stage) (layer.Report, error) {
		r := layer.Report{Drill: "trackers", Findings: []string{}, More: map[string]any{}}
		if _, _, err := chrome.Find(ctx); err != nil {
			if errors.Is(err, chrome.ErrMissing) || errors.Is(err, chrome.ErrOld) {
				r.Skipped = err.Error()
				return r, nil
			}
			return r, err
		}
		site, err := plant.Serve()
		if err != nil {
			return r, fmt.Errorf("serve the site with planted leaks: %w", err)
		}
		defer site.Close()
		err = drill(ctx, stage, scratch, site, &r)
		if errors.Is(err, chrome.ErrSandbox) {
			r.Skipped, err = chrome.ErrSandbox.Error(), nil
			return r, err
		}
		if err == nil {
			r.Held = new(len(r.Findings) == 0)
		}
		return r, err
	}}
}

func drill(ctx context.Context, stage *layer.Stage, scratch Scratch, site *plant.Site, r *layer.Report) error {
	ways, path, pages := plant.Planted(), "", 14
	if stage.Brief {
		path, ways = plant.Sample()
		pages = 1
	}
	r.Tried = len(ways)
	leaking, err := drillScan(ctx, stage, scratch, site.URL+path, pages, 0)
	if err != nil {
		return err
	}
	for _, w := range ways {
		switch {
		case w.Mute && site.Reached(w):
			r.Findings = append(r.Findings, fmt.Sprintf("The scan let out what it should have held back: %q.", w.Name))
		case !w.Mute && !site.Reached(w):
			r.Findings = append(r.Findings, fmt.Sprintf("The planted leak %q did not happen, so nothing was shown by it.", w.Name))
		case !Tells(leaking, w):
			r.Opened++
			r.Findings = append(r.Findings, fmt.Sprintf("The planted leak %q was not found.", w.Name))
		}
	}
	before := len(site.Got())
	twin, err := drillScan(ctx, stage, scratch, site.Clean+path, pages, pages)
	if err != nil {
		return err
	}
	for _, f := range twin.Findings {
		r.Findings = append(r.Findings, "In the twin without leaks: "+f.Sentence)
	}
	fields := 0
	for _, p := range twin.Pages {
		fields += p.Fields
	}
	if fields == 0 || len(site.Got()) > before {
		r.Findings = append(r.Findings, "The twin without leaks was not filled, or told somebody something.")
	}
	r.More["pages"], r.More["requests"], r.More["peak_mb"], r.More["fields_in_twin"] = len(leaking.Pages)+len(twin.Pages), leaking.Requests+twin.Requests, max(leaking.PeakBytes, twin.PeakBytes)>>20, fields
	return nil
}

func drillScan(ctx context.Context, stage *layer.Stage, scratch Scratch, address string, pages, done int) (*Result, error) {
	dir, away, err := scratch()
	if err != nil {
		return nil, err
	}
	defer away()
	o := Options{URL: address, Pages: pages, Local: true, Dir: dir, naive: stage.Sabotage}
	if stage.Step != nil {
		o.Step = func(p Progress) { stage.Step(done+p.Done, 2*pages) }
	}
	r, err := Scan(ctx, o)
	if err == nil && r.Stopped {
		return nil, ctx.Err()
	}
	return r, err
}
