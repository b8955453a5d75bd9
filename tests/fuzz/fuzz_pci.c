// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmm/hot_plug.h"
#include "vmm/pci.h"
#include "vmm/qmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What QEMU tells of its PCI devices; the windows in it are as the guest has set them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(freep) char *text = strndup((const char *)data, size);
	_cleanup_(json_object_putp) struct json_object *answer = NULL;
	struct pci_place places[16];
	int n;

	assert(text);
	answer = json_tokener_parse(text);
	assert(pci_find_address(answer, HOT_PLUG_VAULT, HOT_PLUG_BAR) >> 52 == 0);
	n = pci_find_places(places, ARRAY_SIZE(places), answer, 4 << 20, NULL);
	assert(n != 0 && n <= (int)ARRAY_SIZE(places));
	for (int i = 0; i < n; i++) {
		const struct pci_place *place = &places[i];

		assert(*place->vault_bus && strlen(place->vault_bus) < sizeof(place->vault_bus));
		assert(*place->mailbox_bus &&
		       strlen(place->mailbox_bus) < sizeof(place->mailbox_bus));
		assert(place->vault_size >= PCI_VAULT_LEAST &&
		       place->vault_size <= PCI_VAULT_MOST &&
		       !(place->vault_size & (place->vault_size - 1)));
	}
	return 0;
}
