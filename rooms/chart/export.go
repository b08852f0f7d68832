package chart

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/layer"
)

// export writes a patient's notes as plain text and the original files, under
// chart/. Whoever asks needs the keys: they travel in ctx.
func (c *Chart) export(ctx context.Context, p id.Patient, z *zip.Writer) error {
	chart, err := c.Vault.Open(ctx, p, layer.PartChart)
	if errors.Is(err, layer.ErrUnknown) {
		return nil // nothing was written of this patient yet
	}
	if err != nil {
		return err
	}
	defer chart.Close()
	entries, err := chart.List(ctx)
	if err != nil {
		return err
	}
	taken := names{}
	for _, e := range entries {
		h, ours := readHead(e.Head)
		switch {
		case !ours:
			continue // its own room exports it
		case h.Kind == noteKind:
			err = c.exportNote(ctx, z, chart, e.Record, taken)
		default:
			err = c.exportFile(ctx, z, chart, h, e, taken)
		}
		if err != nil {
			return fmt.Errorf("export record %s: %w", e.Record, err)
		}
	}
	return nil
}

func (c *Chart) exportNote(ctx context.Context, z *zip.Writer, chart layer.Compartment, rec id.Record, taken names) error {
	note, err := readNote(ctx, chart, rec)
	if err != nil {
		return err
	}
	state := ", draft"
	if note.about.Signed != 0 {
		state = ""
	}
	at := note.At.In(c.Now().Location())
	w, err := z.CreateHeader(&zip.FileHeader{
		Name: taken.one("chart/notes/" + at.Format(time.DateOnly) + " " + note.words.Title + state + ".txt"), Method: zip.Deflate, Modified: note.At,
	})
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, c.onPaper(ctx, note, at))
	return err
}

// onPaper writes a note so that it can be read on paper.
func (c *Chart) onPaper(ctx context.Context, n stored, at time.Time) string {
	const exact = "January 2, 2006, 15:04 MST"
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n", n.words.Title, at.Format("January 2, 2006"))
	if n.about.Signed == 0 {
		fmt.Fprintf(&b, "Draft of %s, not signed\n", c.name(ctx, n.about.By))
	} else {
		fmt.Fprintf(&b, "Signed by %s, %s\n", c.name(ctx, n.about.Signer), time.UnixMilli(n.about.Signed).In(at.Location()).Format(exact))
	}
	fmt.Fprintf(&b, "Record %s, version %d\n", n.Record, n.Version)
	if n.about.Of != "" {
		fmt.Fprintf(&b, "Adds to record %s\n", n.about.Of)
	}
	for _, f := range n.words.Fields {
		if f.Text != "" {
			fmt.Fprintf(&b, "\n%s\n%s\n", f.Label, f.Text)
		}
	}
	return b.String()
}

func (c *Chart) exportFile(ctx context.Context, z *zip.Writer, chart layer.Compartment, h head, e layer.Entry, taken names) error {
	held, err := c.held(ctx, h)
	if err != nil {
		return err
	}
	paper := c.paper(chart, h, e)
	if held {
		paper = isolated(h, e)
	}
	body, err := paper.Open(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	// Stored, not packed: most files are packed already, and a plain copy is easier to bring back.
	w, err := z.CreateHeader(&zip.FileHeader{Name: taken.one("chart/files/" + portable(paper.Name)), Method: zip.Store, Modified: e.At})
	if err != nil {
		return err
	}
	_, err = io.Copy(w, body)
	return err
}

// portable is a file's name as every system can unpack it.
func portable(name string) string {
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`<>:"/\|?*`, r) {
			return '_'
		}
		return r
	}, name)
	if name = strings.TrimRight(name, ". "); name == "" {
		return "file"
	}
	return name
}

// names are the names in a zip that are taken.
type names map[string]bool

// one returns a name that is still free.
func (n names) one(name string) string {
	ext := path.Ext(name)
	free := name
	for i := 2; n[strings.ToLower(free)]; i++ {
		free = fmt.Sprintf("%s (%d)%s", strings.TrimSuffix(name, ext), i, ext)
	}
	n[strings.ToLower(free)] = true
	return free
}
