################################################################################
#
# psilogd
#
# UNTESTED in Buildroot: no tree of it could be had where this was written. Its
# installation steps are run by tests/packaging/distributions, and the init script
# by tests/packaging/init.
#
################################################################################

PSILOGD_VERSION = 0.1.0
PSILOGD_SITE = https://example.org/psilogd
PSILOGD_LICENSE = MIT
PSILOGD_LICENSE_FILES = LICENSE

# a daemon is in /usr/sbin, where cargo puts nothing
define PSILOGD_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0755 $(@D)/target/$(RUSTC_TARGET_NAME)/$(if $(BR2_ENABLE_DEBUG),debug,release)/psilogd \
		$(TARGET_DIR)/usr/sbin/psilogd
	$(INSTALL) -D -m 0755 $(@D)/target/$(RUSTC_TARGET_NAME)/$(if $(BR2_ENABLE_DEBUG),debug,release)/psistat \
		$(TARGET_DIR)/usr/bin/psistat
	$(INSTALL) -D -m 0644 $(@D)/packaging/psilogd.conf \
		$(TARGET_DIR)/etc/psilogd.conf
	$(INSTALL) -d -m 0755 $(TARGET_DIR)/etc/psilogd.conf.d
endef

define PSILOGD_INSTALL_INIT_SYSV
	$(INSTALL) -D -m 0755 $(@D)/packaging/init/busybox/psilogd \
		$(TARGET_DIR)/etc/init.d/S02psilogd
endef

define PSILOGD_INSTALL_INIT_OPENRC
	$(INSTALL) -D -m 0755 $(@D)/packaging/init/openrc/psilogd \
		$(TARGET_DIR)/etc/init.d/psilogd
endef

define PSILOGD_INSTALL_INIT_SYSTEMD
	$(INSTALL) -D -m 0644 $(@D)/packaging/systemd/psilogd.service \
		$(TARGET_DIR)/usr/lib/systemd/system/psilogd.service
	$(INSTALL) -D -m 0644 $(@D)/packaging/systemd/psilogd.catalog \
		$(TARGET_DIR)/usr/lib/systemd/catalog/psilogd.catalog
endef

# pressure files, where Buildroot builds the kernel
define PSILOGD_LINUX_CONFIG_FIXUPS
	$(call KCONFIG_ENABLE_OPT,CONFIG_PSI)
endef

$(eval $(cargo-package))
