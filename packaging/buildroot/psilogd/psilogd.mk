################################################################################
#
# psilogd
#
# UNTESTED: no Buildroot tree could be had where this was written.
#
################################################################################

PSILOGD_VERSION = 0.1.0
PSILOGD_SOURCE = psilogd-$(PSILOGD_VERSION).tar.gz
PSILOGD_LICENSE = MIT
PSILOGD_LICENSE_FILES = LICENSE

define PSILOGD_INSTALL_INIT_SYSV
	$(INSTALL) -D -m 0755 $(@D)/packaging/init/sysv/psilogd \
		$(TARGET_DIR)/etc/init.d/S02psilogd
endef

define PSILOGD_INSTALL_INIT_SYSTEMD
	$(INSTALL) -D -m 0644 $(@D)/packaging/systemd/psilogd.service \
		$(TARGET_DIR)/usr/lib/systemd/system/psilogd.service
endef

$(eval $(cargo-package))
