package socket

import "parley/internal/netwatch"

// watchNetwork has every session look after its connection when the machine's addresses change (C9).
func (h *Host) watchNetwork() {
	done, err := netwatch.Watch(h.life, h.NetworkChanged)
	if err != nil {
		h.cfg.Logger.Warn("changes of the machine's addresses go unnoticed: call Host.NetworkChanged", "reason", err)
		return
	}
	<-done
}
