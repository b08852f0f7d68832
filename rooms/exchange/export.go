package exchange

import "context"

type Takeout struct{}
type Exported struct{}

func (x *Exchange) Export(ctx context.Context, out string, o Takeout) (Exported, error) {
	return Exported{}, nil
}
