package main

// Stands in until the rooms below have landed.

import (
	"encoding/json"

	"quietroom/ground/id"
	"quietroom/layer"
	"quietroom/madeup"
)

func noteOf(n madeup.Note, by id.Person) layer.Draft {
	head, _ := json.Marshal(map[string]any{"kind": "note", "title": n.Kind, "by": by})
	return layer.Draft{At: n.At, Head: head, Body: []byte(n.Text)}
}
func fileOf(f madeup.File) layer.Draft {
	head, _ := json.Marshal(map[string]any{"kind": "file", "name": f.Name, "type": f.Type})
	return layer.Draft{At: f.At, Head: head, Body: f.Bytes}
}
