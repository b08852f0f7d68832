package training

import (
	"context"
	"iter"

	"quietroom/ground/web"
	"quietroom/layer"
)

type listening struct{}

func (t *Training) mountReports(m *web.Mux)               {}
func (t *Training) mountExercises(m *web.Mux)             {}
func (t *Training) readMailbox(ctx context.Context) error { return nil }
func (t *Training) reportEvidence(ctx context.Context) iter.Seq2[layer.Evidence, error] {
	return func(yield func(layer.Evidence, error) bool) {}
}
