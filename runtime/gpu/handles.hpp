#pragma once

/// Vulkan's handle types without vulkan.h, so that only runtime/gpu includes it. On 64-bit systems every
/// handle is a pointer to an opaque struct and these are the header's own typedefs (Vulkan specification,
/// "Object Model").
static_assert(sizeof(void*) == 8, "Kvasir is for 64-bit systems");

typedef struct VkInstance_T* VkInstance;
typedef struct VkPhysicalDevice_T* VkPhysicalDevice;
typedef struct VkDevice_T* VkDevice;
typedef struct VkQueue_T* VkQueue;
typedef struct VkCommandBuffer_T* VkCommandBuffer;
typedef struct VkCommandPool_T* VkCommandPool;
typedef struct VkBuffer_T* VkBuffer;
typedef struct VkDeviceMemory_T* VkDeviceMemory;
typedef struct VkPipeline_T* VkPipeline;
typedef struct VkPipelineLayout_T* VkPipelineLayout;
typedef struct VkPipelineCache_T* VkPipelineCache;
typedef struct VkShaderModule_T* VkShaderModule;
typedef struct VkDescriptorSetLayout_T* VkDescriptorSetLayout;
typedef struct VkDescriptorPool_T* VkDescriptorPool;
typedef struct VkDescriptorSet_T* VkDescriptorSet;
typedef struct VkQueryPool_T* VkQueryPool;
typedef struct VkSemaphore_T* VkSemaphore;
typedef struct VkDebugUtilsMessengerEXT_T* VkDebugUtilsMessengerEXT;
