package chart

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
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
			if ours && !yield(c.paper(chart, h, e), nil) {
				return
			}
		}
	}
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
