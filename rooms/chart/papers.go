package chart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/layer"
)

// SignedNote is a whole note as a record of a chart: one text, signed by its
// author. It is how a made-up house and an import write notes.
func SignedNote(title, text string, by id.Person, at time.Time) layer.Draft {
	f, _ := formBy("free")
	h := head{Kind: noteKind, Form: f.Key, Title: title, By: by, Signer: by, Signed: at.UnixMilli()}
	words := content{Title: title, Fields: []filled{{Key: f.Fields[0].Key, Label: f.Fields[0].Label, Text: text}}}
	return layer.Draft{At: at, Head: h.bytes(), Body: words.bytes()}
}

// File is a file as a record of a chart.
func File(name, mediaType string, body []byte, by id.Person, at time.Time) layer.Draft {
	h := head{Kind: fileKind, Title: fileName(name), Type: mediaType, By: by}
	return layer.Draft{At: at, Head: h.bytes(), Body: body}
}

// Paper is a note or file as somebody takes it out of the house.
type Paper struct {
	Title, Name string
	At          time.Time
	Open        func(context.Context) (io.ReadCloser, error) // while the sequence goes on
}

// Papers yields a patient's notes, as text, and files. layer.ErrNotYours where
// they are not this person's to read.
func (c *Chart) Papers(ctx context.Context, p id.Patient) iter.Seq2[Paper, error] {
	return func(yield func(Paper, error) bool) {
		chart, err := c.Vault.Open(ctx, p, layer.PartChart)
		if errors.Is(err, layer.ErrUnknown) {
			return // nothing was written of this patient yet
		}
		if err != nil {
			yield(Paper{}, err)
			return
		}
		defer chart.Close()
		entries, err := chart.List(ctx)
		if err != nil {
			yield(Paper{}, err)
			return
		}
		for _, e := range entries {
			h, ours := readHead(e.Head)
			if !ours {
				continue
			}
			held, err := c.held(ctx, h)
			if err != nil {
				yield(Paper{}, err)
				return
			}
			paper := c.paper(chart, h, e)
			if held {
				paper = isolated(h, e)
			}
			if !yield(paper, nil) {
				return
			}
		}
	}
}

// isolated stands in an export in place of a file that nobody may open.
func isolated(h head, e layer.Entry) Paper {
	why := "was not looked through for malware, and nobody took it in"
	if h.Harm != "" {
		why = "is isolated: the virus scanner found " + h.Harm + " in it"
	}
	text := fmt.Sprintf("The file that came as %q %s. It is kept sealed in the practice and is not part of this export.\n", h.Title, why)
	return Paper{Title: h.Title, Name: h.Title + ".isolated.txt", At: e.At, Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(text)), nil
	}}
}

func (c *Chart) paper(chart layer.Compartment, h head, e layer.Entry) Paper {
	if h.Kind == fileKind {
		return Paper{Title: h.Title, Name: h.Title, At: e.At, Open: func(ctx context.Context) (io.ReadCloser, error) {
			_, body, err := chart.Stream(ctx, e.Record)
			return body, err
		}}
	}
	return Paper{Title: h.Title, Name: h.Title + ".txt", At: e.At, Open: func(ctx context.Context) (io.ReadCloser, error) {
		note, err := readNote(ctx, chart, e.Record)
		if err != nil {
			return nil, err
		}
		text := c.onPaper(ctx, note, note.At.In(c.Now().Location()))
		return io.NopCloser(bytes.NewReader([]byte(text))), nil
	}}
}
