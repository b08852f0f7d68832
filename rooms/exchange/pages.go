package exchange

import (
	"quietroom/ground/web"
)

func (x *Exchange) mount(m *web.Mux) {}
